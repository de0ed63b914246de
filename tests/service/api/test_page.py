"""The pages load from the service alone."""

import re
from pathlib import Path

import pytest
from fastapi.responses import HTMLResponse

import service
from service.evaluations.report_html import HEADERS

WEB = Path(service.__file__).parent / "web"


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_page_finds_all_its_parts_here(client, path):
    page = client.get(path)
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)

    assert page.headers["Content-Type"].startswith("text/html")
    assert len(links) >= 3
    assert {link: client.get(f"/{link}").status_code for link in links} == dict.fromkeys(links, 200)


@pytest.mark.parametrize("path", sorted(WEB.glob("*.js")), ids=lambda path: path.name)
def test_script_imports_what_is_here(client, path):
    imports = re.findall(r'from "\./([^"]+)"', path.read_text(encoding="utf-8"))

    assert client.get(f"/web/{path.name}").headers["Content-Type"].startswith("text/javascript")
    assert [client.get(f"/web/{name}").status_code for name in imports] == [200] * len(imports)


@pytest.mark.parametrize("path", sorted(WEB.glob("*")), ids=lambda path: path.name)
def test_nothing_comes_from_elsewhere(path):
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")

    assert "//" not in re.sub(r"^\s*//.*|\s// .*", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("path", ["/", "/docs", "/v1/languages"])
def test_browser_may_load_from_the_service_only(client, path):
    policy = client.get(path).headers["Content-Security-Policy"]

    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


def test_response_keeps_the_policy_that_it_brings(client):
    app = client.app
    app.add_api_route("/own", lambda: HTMLResponse("", headers=HEADERS))

    headers = client.get("/own").headers

    assert headers.get_list("Content-Security-Policy") == [HEADERS["Content-Security-Policy"]]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_scripts_and_styles_are_in_files_of_their_own():
    for page in WEB.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert re.search(r"<style|<script>|\sstyle=|\son\w+=", text) is None, page.name


def test_every_element_a_script_asks_for_is_on_the_page():
    asked = re.findall(r'element\("([^"]+)"\)', (WEB / "page.js").read_text(encoding="utf-8"))
    present = re.findall(r'id="([^"]+)"', (WEB / "index.html").read_text(encoding="utf-8"))

    assert set(asked) <= set(present)
