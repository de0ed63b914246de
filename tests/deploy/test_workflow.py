"""The workflow that builds the images, as far as that can be checked without running it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github/workflows/images.yml"
JOBS = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]
SCRIPTS = [step["run"] for job in JOBS.values() for step in job["steps"] if "run" in step]


def test_workflow_follows_the_schema_of_github():
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema"]
    checked = subprocess.run(
        [*command, "vendor.github-workflows", str(WORKFLOW)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.stdout.strip() == "ok -- validation done"


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize("script", SCRIPTS, ids=range(len(SCRIPTS)))
def test_scripts_are_well_formed(script):
    plain = re.sub(r"\$\{\{.*?\}\}", "x", script)

    assert subprocess.run(["bash", "-n"], input=plain, text=True, check=False).returncode == 0


def test_files_that_are_named_exist():
    text = WORKFLOW.read_text(encoding="utf-8")
    made = {"deploy/secrets", "deploy/compose.$file.yml"}
    named = set(re.findall(r"\b(?:deploy/[\w./$-]*\w|docker-compose\.yml)", text)) - made

    assert {
        name
        for name in named
        if not name.startswith("deploy/secrets/") and not (ROOT / name).exists()
    } == set()


def test_every_job_ends_in_time_and_may_only_read():
    workflow = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))

    assert workflow["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 60 for job in JOBS.values())


def test_workflow_says_that_it_has_not_been_run():
    assert "it has not been run" in WORKFLOW.read_text(encoding="utf-8").replace("\n# ", " ")
