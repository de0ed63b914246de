"""The tab of evaluations in headless Chromium, on a real server with a model that knows nothing."""

import json
import urllib.request

import pytest

from tests.clients.browser import SHEETS, Keys, Page, needs_axe, needs_chromium
from tests.clients.conftest import serving
from tests.clients.evaluation_tab import (
    begin,
    choose,
    close_report,
    offered,
    open_report,
    open_tab,
    wait_until_done,
    write,
)

pytestmark = [pytest.mark.browser, needs_chromium]

SOURCE = ["Guten Morgen.", "Wie geht es dir?", "Ein <b>Hund</b> bellt."]
REFERENCE = ["Good morning.", "How are you?", "A <b>dog</b> barks."]
SET_NAME = "news"


@pytest.fixture(scope="module")
def server(settings_with, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    (folder / f"{SET_NAME}.de").write_text("\n".join(SOURCE) + "\n", encoding="utf-8")
    (folder / f"{SET_NAME}.en").write_text("\n".join(REFERENCE) + "\n", encoding="utf-8")
    (folder / "other.fr").write_text("Bonjour.\n", encoding="utf-8")
    (folder / "other.en").write_text("Hello.\n", encoding="utf-8")
    with serving(settings_with(test_sets=folder)) as url:
        yield url


@pytest.fixture(scope="module")
def measured(server) -> dict:
    """An evaluation of the test set that is done."""
    fields = json.dumps({"pair": "de-en", "test_set": SET_NAME}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{server}/v1/evaluations", fields, headers)
    with urllib.request.urlopen(request) as answer:
        url = f"{server}/v1/evaluations/{json.load(answer)['job_id']}"
    with urllib.request.urlopen(f"{url}/events") as events:
        events.read()
    with urllib.request.urlopen(url) as answer:
        job = json.load(answer)
    assert job["status"] == "done"
    return job


@pytest.fixture
def page(driver, server):
    driver.set_window_size(*SHEETS["desktop"])
    page = Page(driver, server)
    page.open()
    page.run("localStorage.clear(); sessionStorage.clear()")
    open_tab(page)
    yield page
    page.let_go()
    # the browser itself notes answers of 400
    assert {entry["source"] for entry in page.complaints()} <= {"network"}


def ask(page: Page, path: str) -> dict:
    with urllib.request.urlopen(f"{page.url}/v1/{path}") as answer:
        return json.load(answer)


def test_evaluation_is_begun_followed_and_read(page):
    choose(page, "test_set", f"set {SET_NAME}")
    row = begin(page)
    wait_until_done(page, row)
    job = ask(page, "evaluations")["evaluations"][0]
    report = ask(page, f"evaluations/{job['job_id']}/report.json")

    assert "tiny@1" in row.text
    assert "German → English · news · 3 lines" in row.text
    shown = [score.text for score in row.find_elements("css selector", ".scores dd")]
    assert shown == [f"{metric['score']:.1f}" for metric in report["metrics"]]

    open_report(page, row)
    assert page.driver.current_url == f"{page.url}/v1/evaluations/{job['job_id']}/report.html"
    figures = [score.text.split()[0] for score in page.all(".score")]
    assert figures == [f"{metric['score']:.2f}" for metric in report["metrics"]]
    assert "Ein <b>Hund</b> bellt." in page.one("main").text
    close_report(page)


def test_translations_of_ones_own_are_compared_with_an_earlier_evaluation(measured, page, tmp_path):
    (tmp_path / "reference.txt").write_text("\n".join(REFERENCE) + "\n", encoding="utf-8")
    page.wait(lambda: any("tiny@1, " in option for option in offered(page, "baseline")))
    for name, value in (("test_set", "own"), ("model", "own"), ("baseline", "job ")):
        choose(page, name, value)
    write(page, "lines", SOURCE)
    write(page, "hypotheses", REFERENCE)
    page.one("[data-into=reference]").send_keys(str(tmp_path / "reference.txt"))
    page.wait(lambda: page.one("[data-counts=reference]").text == "3 lines")
    compared_with = page.one("select[name=baseline]").get_attribute("value").split()[1]
    row = begin(page)
    wait_until_done(page, row)

    assert page.one("[data-counts=lines]").text == "3 lines"
    assert f"Translations against evaluation {compared_with[:8]}" in row.text
    open_report(page, row)
    assert f"what evaluation {compared_with} translated" in page.one("header").text
    close_report(page)


def test_only_what_fits_the_direction_is_offered(page):
    assert offered(page, "test_set") == [SET_NAME, "lines of my own"]
    assert offered(page, "model") == ["tiny@1 (serves)", "translations of my own"]
    assert not page.one("#hypotheses").is_displayed()

    choose(page, "model", "own")
    choose(page, "test_set", "own")

    assert page.one("#hypotheses").is_displayed()
    assert page.one("#lines").is_displayed()


def test_refusal_is_told_and_what_was_written_stays(page):
    choose(page, "test_set", "own")
    write(page, "lines", SOURCE)
    write(page, "reference", REFERENCE[:1])
    page.one("#evaluation [name=submit]").click()

    page.wait(lambda: "3 lines" in page.one("#failure").text)
    assert page.one("#lines").get_attribute("value") == "\n".join(SOURCE)
    page.wait(lambda: page.one("#evaluation [name=submit]").is_enabled())


def test_evaluation_under_way_is_cancelled_and_removed(page):
    choose(page, "test_set", "own")
    write(page, "lines", SOURCE * 10_000)
    write(page, "reference", REFERENCE * 10_000)
    row = begin(page)
    row.find_element("css selector", ".actions button").send_keys(Keys.ENTER)

    page.wait(lambda: row.get_attribute("class") == "cancelled")
    assert "cancelled" in row.text
    id = ask(page, "evaluations?status=cancelled")["evaluations"][0]["job_id"]
    # the keyboard has not lost its place
    assert page.driver.switch_to.active_element.text == "Remove"
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    page.wait(lambda: row not in page.all("#evaluation-jobs li"))
    assert id not in [each["job_id"] for each in ask(page, "evaluations")["evaluations"]]


@pytest.mark.parametrize("sheet", SHEETS)
def test_nothing_stands_beside_the_window(measured, page, sheet):
    page.hold_as(sheet)
    show_everything(page)

    assert page.width() <= SHEETS[sheet][0]


@needs_axe
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_tab_meets_wcag_aa(measured, page, scheme):
    page.prefer(scheme)
    show_everything(page)

    assert page.find_barriers() == []


def show_everything(page: Page) -> None:
    """Open the tab with a row that is done and all fields of the form."""
    open_tab(page)
    page.wait(lambda: page.all("#evaluation-jobs li.done"))
    for name in ("test_set", "model", "baseline"):
        choose(page, name, "own")
    page.one("#evaluation summary").click()
