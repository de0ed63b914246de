"""The commands of deploy/README.md that back up and restore, run as they stand there."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.postgres import running_postgres, tools
from tests.system.lives import Lives, wait_until

pytestmark = pytest.mark.slow

README = (Path(__file__).parents[2] / "deploy/README.md").read_text(encoding="utf-8")
LINES = ["guten morgen", "guten tag"]
EVALUATION = {"pair": "de-en", "source": LINES, "references": ["a", "b"], "confidence": {"n": 0}}
TERMS = {
    "name": "greetings",
    "dictionaries": [
        {
            "source_lang": "de",
            "target_lang": "en",
            "entries": "morgen\tmorning",
            "entries_format": "tsv",
        }
    ],
}


def commands(name: str) -> str:
    """Return what stands in the README below a marker."""
    return README.split(f"<!-- {name} -->\n```\n")[1].split("```\n")[0]


def run(script: str, folder: Path, path: str = "") -> None:
    """Run commands of the README here, instead of in containers."""
    done = subprocess.run(
        ["sh", "-euc", script],
        cwd=folder,
        env=os.environ | {"PATH": f"{os.environ['PATH']}:{path}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def in_folder(script: str, data: Path) -> str:
    for prefix in ("docker compose exec -T dragoman ", "docker compose run --rm --no-deps -T "):
        script = script.replace(prefix, "")
    lines = [line for line in script.splitlines() if not line.startswith("docker ")]
    return "\n".join(lines).replace("--entrypoint sh dragoman", "sh").replace("/data", str(data))


def keep_something(service: Lives) -> str:
    """Let the service keep a glossary and an evaluation, and return where the latter is."""
    assert service.post("/v3/glossaries", TERMS).status_code == 201
    path = service.post("/v1/evaluations", EVALUATION).json()["poll_url"]
    wait_until(lambda: service.get(path).json()["status"] == "done")
    return path


def test_files_come_back_with_all_that_was_kept(tmp_path, tiny_bundle):
    with Lives(tmp_path, tiny_bundle) as service:
        service.start()
        path = keep_something(service)
        report = service.get(f"{path}/report.json").json()
        run(in_folder(commands("back up"), service.data), tmp_path)  # while it serves
        assert service.end() == 0
        shutil.rmtree(service.data)
        service.data.mkdir(mode=0o770)
        run(in_folder(commands("restore"), service.data), tmp_path)
        service.start()

        assert service.get(f"{path}/report.json").json() == report
        (glossary,) = service.get("/v3/glossaries").json()["glossaries"]
        assert glossary["name"] == "greetings"


def test_database_comes_back_with_all_that_was_kept(tmp_path, tiny_bundle):
    with running_postgres() as old, running_postgres() as new:
        with Lives(tmp_path, tiny_bundle, database=old.url) as service:
            service.start()
            path = keep_something(service)
            report = service.get(f"{path}/report.json").json()
            for name, url in (("back up PostgreSQL", old.url), ("restore PostgreSQL", new.url)):
                lines = [li for li in commands(name).splitlines() if "postgres pg_" in li]
                script = "\n".join(lines).replace("docker compose exec -T postgres ", "")
                script = script.replace("-U dragoman -d dragoman", f"-d {url}")
                run(script, tmp_path, str(tools()))
            assert service.end() == 0
        (tmp_path / "log").unlink()
        (tmp_path / "again").mkdir()
        data = str(tmp_path / "data")
        with Lives(tmp_path / "again", tiny_bundle, database=new.url, data=data) as service:
            service.start()

            assert service.get(f"{path}/report.json").json() == report
            (glossary,) = service.get("/v3/glossaries").json()["glossaries"]
            assert glossary["name"] == "greetings"
