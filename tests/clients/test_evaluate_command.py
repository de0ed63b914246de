"""The commands that ask a server of evaluations, against one as it is."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from service.cli import dragoman
from service.evaluation_answers import Job, Report

LINES = ["Guten Morgen.", "Das Haus ist klein,\u2028aber schön.", "Ich sehe einen Hund."]
REFERENCES = ["Good morning.", "The house is small but beautiful.", "I see a dog."]


@pytest.fixture(scope="module")
def key(keyed_server):
    return keyed_server.make("evaluate")


@pytest.fixture
def run(keyed_server, key):
    """Run a command against a server that wants keys."""

    def invoke(*arguments, **environment):
        given = {"DRAGOMAN_SERVER": keyed_server.url, "DRAGOMAN_API_KEY": key, "COLUMNS": "160"}
        runner = CliRunner(env=given | environment)
        return runner.invoke(dragoman, [str(each) for each in arguments])

    return invoke


@pytest.fixture
def files(tmp_path):
    for name, lines in (("source", LINES), ("reference", REFERENCES)):
        text = "".join(f"{line}\r\n" for line in lines)
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    return "--source", tmp_path / "source", "--reference", tmp_path / "reference"


def test_scores_are_those_of_the_sacrebleu_command_for_what_the_engine_translates(
    run, files, engine, tmp_path
):
    written = tmp_path / "hypotheses"

    done = run("evaluate", "--pair", "de-en", *files, "--hypotheses", written, "--json")

    assert done.exit_code == 0, done.stderr
    expected = [" ".join(engine(line, "de", "en").split("\n")) for line in LINES]
    assert written.read_text(encoding="utf-8").split("\n") == [*expected, ""]
    sacrebleu = [sys.executable, "-m", "sacrebleu", files[3], "-i", written]
    sacrebleu += ["-m", "bleu", "chrf", "ter", "-w", "6", "--confidence"]
    theirs = json.loads(subprocess.run(sacrebleu, capture_output=True, check=True).stdout)
    ours = json.loads(done.stdout)["metrics"]
    assert [(each["name"], round(each["score"], 6), each["signature"]) for each in ours] == [
        (each["name"], each["score"], each["signature"]) for each in theirs
    ]


def test_tables_compare_with_a_baseline(run, files):
    done = run("evaluate", "--model", "tiny@1", "--pair", "de-en", *files, "--baseline", "tiny")

    assert done.exit_code == 0, done.stderr
    shown = " ".join(done.stdout.split())
    assert "tiny/1 de-en beam 2, length penalty 1" in shown
    assert "against tiny/1" in shown
    assert "3 of 3 lines are the same in both" in shown
    assert "+0.00" in shown
    assert "better" not in shown


def test_answers_are_read_whole(run, files):
    id = run("evaluate", "--pair", "de-en", *files, "--baseline", "tiny", "--detach").stdout.strip()
    run("evaluations", "show", id, "--wait")

    body = json.loads(run("evaluations", "show", id, "--json").stdout)

    assert Job.model_validate(body).model_fields_set == set(Job.model_fields)
    report = Report.model_validate(body["report"])
    assert report.model_fields_set == set(Report.model_fields)
    assert report.decode.model_fields_set == set(type(report.decode).model_fields)
    assert report.counts.model_fields_set == set(type(report.counts).model_fields)


def test_hypotheses_are_compared_with_those_of_an_earlier_job(run, files):
    detached = run("evaluate", "--pair", "de-en", *files, "--detach")
    id = detached.stdout.strip()
    assert run("evaluations", "show", id, "--wait").exit_code == 0
    reference = files[2:]

    done = run(
        *("evaluate", "--pair", "de-en", *reference, "--score", reference[1]),
        *("--source", files[1], "--baseline-job", id),
    )

    assert done.exit_code == 0, done.stderr
    shown = " ".join(done.stdout.split())
    assert "given hypotheses de-en" in shown
    assert "BLEU 100.00" in shown
    assert f"against job {id}" in shown


def test_job_is_listed_shown_and_cancelled(run, files):
    id = run("evaluate", "--pair", "de-en", *files, "--detach").stdout.strip()

    listed = json.loads(run("evaluations", "list", "--json").stdout)
    cancelled = run("evaluations", "cancel", id)

    assert listed[0]["job_id"] == id
    assert cancelled.exit_code == 0
    assert id in run("evaluations", "list", COLUMNS="80").stdout


def test_report_is_written_as_a_page_and_as_json(run, files, tmp_path):
    page, data = tmp_path / "report.html", tmp_path / "report.json"
    done = run("evaluate", "--pair", "de-en", *files, "--report", page, "--json")
    id = json.loads(done.stdout)["job_id"]

    run("evaluations", "show", id, "--report", data)

    assert "<html" in page.read_text(encoding="utf-8")
    assert json.loads(data.read_text(encoding="utf-8")) == json.loads(done.stdout)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pair", "de-xx"], "de-xx is not served"),
        (["--pair", "de-en", "--baseline", "tiny@7"], "tiny"),
        (["--pair", "de-en", "--baseline-job", "0" * 32], "0" * 32),
        (["--pair", "de-en", "--beam", 99], "99 exceeds 16"),
    ],
)
def test_refusal_is_one_sentence(run, files, arguments, said):
    done = run("evaluate", *files, *arguments)

    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("error: http://")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("scope", "said"), [(None, "needs an API key"), ("translate", "is not for evaluate")]
)
def test_key_must_be_for_evaluations(run, files, keyed_server, scope, said):
    key = keyed_server.make(scope) if scope else ""

    done = run("evaluate", "--pair", "de-en", *files, DRAGOMAN_API_KEY=key)

    assert (done.exit_code, said in done.stderr) == (1, True)


def test_unknown_job_is_one_sentence(run):
    done = run("evaluations", "show", "0" * 32)

    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
