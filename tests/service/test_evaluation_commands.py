import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli import dragoman
from tests.evaluation_server import (
    GONE,
    ID,
    SIGNATURE,
    STUCK,
    Answer,
    failure,
    fake_server,
    job,
    report,
)

ROOT = Path(__file__).parents[2]
SHOW = f"GET /v1/evaluations/{ID}"


@pytest.fixture
def server():
    with fake_server() as server:
        server.will(
            SHOW,
            job("queued"),
            job("running", 3),
            job("running", 6),
            job("done", 6, report=report()),
        )
        yield server


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")

    def invoke(*arguments, **environment):
        return CliRunner(env=environment).invoke(dragoman, [str(each) for each in arguments])

    return invoke


@pytest.fixture
def files(tmp_path):
    """Flags that name a source and a reference of three lines."""
    source, reference = tmp_path / "source.txt", tmp_path / "reference.txt"
    source.write_text("guten morgen\r\nja\r\nGrüße\u2028hier", encoding="utf-8", newline="")
    reference.write_text("good morning\nyes\ngreetings\n", encoding="utf-8")
    return "--source", source, "--reference", reference


@pytest.fixture
def evaluate(run, server, files):
    """Evaluate these files by the fake server."""

    def invoke(*arguments, **environment):
        return run(
            *("evaluate", "--pair", "de-en", *files, "--server", server.url),
            *arguments,
            **environment,
        )

    return invoke


def told(result):
    return " ".join(result.stderr.split())


def test_lines_are_sent_as_they_are(evaluate, server):
    assert evaluate().exit_code == 0

    [asked] = server.requests("POST")
    assert asked.parts() == [
        ("pair", "de-en"),
        ("source", "guten morgen\nja\nGrüße\u2028hier\n"),
        ("reference", "good morning\nyes\ngreetings\n"),
    ]


def test_what_is_asked_for_is_what_the_flags_say(evaluate, server, tmp_path):
    others = tmp_path / "others.txt"
    others.write_text("a\nb\nc\n")

    done = evaluate(
        *("--model", "tatoeba@2", "--baseline-hypotheses", others),
        *("--metric", "bleu", "--metric", "chrf++", "--paired", "both"),
        *("--resamples", 0, "--seed", 7, "--examples", 0),
        *("--beam", 4, "--length-penalty", 0, "--no-repeat-ngram", 3),
        *("--coverage-penalty", 0.2, "--max-tokens", 50),
    )

    assert done.exit_code == 0
    [asked] = server.requests("POST")
    fields = dict(asked.parts())
    assert json.loads(fields.pop("decode")) == {
        "beam": 4,
        "length_penalty": 0,
        "no_repeat_ngram": 3,
        "coverage_penalty": 0.2,
        "max_tokens": 50,
    }
    assert json.loads(fields.pop("confidence")) == {"n": 0, "seed": 7}
    del fields["source"], fields["reference"]
    assert fields == {
        "pair": "de-en",
        "model": "tatoeba@2",
        "metrics": "bleu,chrf++",
        "paired": "both",
        "examples": "0",
        "baseline_hypotheses": "a\nb\nc\n",
    }


def test_several_references_are_sent_in_order(evaluate, server, tmp_path):
    second = tmp_path / "second.txt"
    second.write_text("x\ny\nz\n")

    evaluate("--reference", second)

    sent = [text for name, text in server.requests("POST")[0].parts() if name == "reference"]
    assert sent == ["good morning\nyes\ngreetings\n", "x\ny\nz\n"]


def test_hypotheses_are_scored_without_a_source(run, server, files):
    _, source, *reference = files

    run("evaluate", "--pair", "de-en", *reference, "--score", source, "--server", server.url)

    names = [name for name, _ in server.requests("POST")[0].parts()]
    assert names == ["pair", "reference", "hypotheses"]


def test_test_set_of_the_server_takes_no_files(run, server):
    arguments = ("--test-set", "tatoeba", "--baseline-job", ID)

    done = run("evaluate", "--model", "tatoeba", *arguments, "--server", server.url)

    assert done.exit_code == 0
    wanted = {"model": "tatoeba", "test_set": "tatoeba", "baseline_job": ID}
    assert server.requests("POST")[0].json() == wanted


def test_tables_show_scores_and_comparison(evaluate):
    shown = " ".join(evaluate().stdout.split())

    assert "tatoeba/2 de-en beam 6, length penalty 1 metric score 95 % signature" in shown
    assert f"BLEU 37.12 36.12-38.12 {SIGNATURE}" in shown
    counts = "0 truncated, 1 stopped, 2 empty, 0 lost a placeholder"
    assert f"3 sentences in 3.2 s, 312.5 a second; {counts}" in shown
    assert "against tatoeba/1" in shown
    assert "BLEU 36.40 35.62-37.62 +0.72 0.0120 better" in shown
    assert "TER 44.78 44.00-46.00 +0.72 0.0120 worse" in shown  # it counts edits
    assert "1 of 3 lines are the same in both" in shown


def test_difference_that_may_be_chance_is_not_called_better(evaluate, server):
    found = report()
    found["comparison"][0]["tests"] = [
        {"test": "paired_bootstrap", "p_value": 0.04, "samples": 1000},
        {"test": "approximate_randomisation", "p_value": 0.05, "samples": 10_000},
    ]
    server.will(SHOW, job("done", report=found))

    assert "+0.72 0.0400 0.0500 unclear" in " ".join(evaluate().stdout.split())


def test_report_without_model_baseline_and_intervals_is_shown(evaluate, server):
    found = report(model=None, baseline=None, comparison=[], decode=None, performance=None)
    found["metrics"] = [each | {"interval": None} for each in found["metrics"]]
    server.will(SHOW, job("done", report=found | {"identical": None, "test_set": "tatoeba"}))

    shown = " ".join(evaluate().stdout.split())

    assert "given hypotheses de-en tatoeba metric score signature" in shown
    assert f"BLEU 37.12 {SIGNATURE}" in shown
    assert "3 sentences; 0 truncated" in shown
    assert "against" not in shown


def test_warnings_are_told_on_stderr(evaluate, server):
    warning = "reference 1 looks tokenised"
    server.will(SHOW, job("done", report=report(warnings=[warning])))

    done = evaluate()

    assert f"warning: {warning}" in told(done)
    assert warning not in done.stdout


def test_json_is_the_report_as_the_server_has_it(evaluate, server):
    found = report(new_of_a_later_version={"any": [1.5, None]})
    server.will(SHOW, job("done", report=found))

    assert json.loads(evaluate("--json").stdout) == found


def test_files_are_written(evaluate, server, tmp_path):
    server.will(f"{SHOW}/hypotheses.txt", Answer(b"good morning\n\xc3\xa4\n"))
    server.will(f"{SHOW}/report.html", Answer(b"<!doctype html>"))
    hypotheses, page = tmp_path / "hypotheses.txt", tmp_path / "report.html"

    assert evaluate("--hypotheses", hypotheses, "--report", page).exit_code == 0

    assert hypotheses.read_bytes() == b"good morning\n\xc3\xa4\n"
    assert page.read_bytes() == b"<!doctype html>"


def test_report_is_json_if_its_name_says_so(evaluate, server, tmp_path):
    server.will(f"{SHOW}/report.json", Answer(b"{}"))

    evaluate("--report", tmp_path / "report.json")

    assert (tmp_path / "report.json").read_bytes() == b"{}"


@pytest.mark.parametrize("flag", ["--hypotheses", "--report"])
def test_place_for_a_file_is_tried_before_the_server_is_asked(evaluate, server, tmp_path, flag):
    nowhere = tmp_path / "missing" / "file"

    done = evaluate(flag, nowhere)

    assert (done.exit_code, done.stderr) == (1, f"error: {nowhere}: No such file or directory\n")
    assert server.asked == []


def test_lines_that_do_not_match_are_not_sent(evaluate, server, files):
    files[3].write_text("one\ntwo\n")

    done = evaluate()

    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "error: reference 1 has 2 lines for 3 source lines\n"
    assert server.asked == []


def test_empty_files_are_not_sent(evaluate, server, files):
    files[1].write_text("")

    assert evaluate().stderr == "error: there are no source lines\n"
    assert server.asked == []


def test_line_that_is_not_utf8_is_not_sent(evaluate, server, files):
    files[1].write_bytes(b"a\nb\n\xff\n")

    assert evaluate().stderr == f"error: {files[1]}, line 3: not UTF-8 (byte 1 is 0xff)\n"
    assert server.asked == []


def test_job_that_is_not_waited_for_is_named(evaluate, server):
    done = evaluate("--detach")

    assert (done.exit_code, done.stdout) == (0, f"{ID}\n")
    assert server.requests(SHOW) == []


def test_job_that_is_waited_for_is_named_too(evaluate):
    assert f"note: accepted as {ID}" in told(evaluate())


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_job_that_fails_is_told(evaluate, server, as_json):
    error = {"code": "model_failure", "message": "the bundle tatoeba@2 is gone"}
    server.will(SHOW, job("running"), job("failed", error=error))

    done = evaluate(*as_json)

    assert done.exit_code == 1
    assert f"error: {ID}: the bundle tatoeba@2 is gone" in told(done)
    assert "37.12" not in done.stdout


def test_job_that_somebody_cancels_is_told(evaluate, server):
    server.will(SHOW, job("running"), job("cancelled"))

    done = evaluate()

    assert (done.exit_code, f"error: {ID} was cancelled" in told(done)) == (1, True)


def test_wrong_key_costs_no_upload(evaluate, server):
    refusal = "the API key is not one of this service"
    server.will("GET /v1/evaluations", failure(401, "unauthorized", refusal))

    done = evaluate()

    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"error: {server.url}: {refusal}\n"
    assert server.requests("POST") == []


def test_server_that_is_away_for_a_moment_is_told_of(evaluate, server):
    server.will(SHOW, job("running"), GONE, job("done", report=report()))

    done = evaluate()

    assert done.exit_code == 0
    assert "37.12" in done.stdout
    assert f"note: {server.url} does not answer: " in told(done)
    assert f"note: {server.url} answers again" in told(done)


def test_job_that_is_gone_is_told_without_a_hint(evaluate, server):
    server.will(SHOW, job("running"), failure(404, "not_found", f"no evaluation {ID}"))

    done = evaluate()

    assert done.exit_code == 1
    assert done.stderr.endswith(f"error: {server.url}: no evaluation {ID}\n")
    assert "goes on" not in done.stderr


def test_key_that_ends_meanwhile_leaves_a_hint(evaluate, server):
    server.will(SHOW, job("running"), failure(401, "unauthorized", "the API key is expired"))

    done = evaluate()

    assert done.exit_code == 1
    assert f"dragoman evaluations show {ID} --wait --server {server.url}" in told(done)


@pytest.mark.parametrize(
    ("flags", "environment"),
    [
        (["--api-key", "dgm_flag"], {"DRAGOMAN_API_KEY": "dgm_other"}),
        ([], {"DRAGOMAN_API_KEY": "dgm_flag"}),
        ([], {"DRAGOMAN_API_KEY_FILE": "key.txt"}),
    ],
)
def test_key_comes_from_flag_variable_or_file(
    evaluate, server, flags, environment, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("key.txt").write_text("dgm_flag\n")

    done = evaluate(*flags, **environment)

    assert done.exit_code == 0
    assert {each.headers["Authorization"] for each in server.asked} == {"Bearer dgm_flag"}
    assert "dgm_flag" not in done.output


@pytest.mark.parametrize("key", ["schlüssel", "two words", "two\nlines"])
def test_key_that_is_none_is_not_shown(evaluate, server, key):
    done = evaluate(DRAGOMAN_API_KEY=key)

    assert (done.exit_code, key in done.output, server.asked) == (2, False, [])


def test_variable_names_the_server(run, server, files):
    run("evaluate", "--pair", "de-en", *files, DRAGOMAN_SERVER=f"{server.url}/")

    assert len(server.requests("POST /v1/evaluations")) == 1


def test_folder_of_bundles_wins_over_the_variable(run, server, files, tiny_bundle):
    folder = tiny_bundle.path.parents[1]

    done = run(
        *("evaluate", "--pair", "de-en", *files, "--bundles", folder, "--beam", 1),
        DRAGOMAN_SERVER=server.url,
        DRAGOMAN_WORKERS="1",
    )

    assert (done.exit_code, server.asked) == (0, [])
    assert tiny_bundle.identity in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--bundles", "x"], "--bundles"),
        (["--score", "x", "--model", "y"], "--model"),
        (["--test-set", "x"], "--test-set"),
        (["--baseline", "x", "--baseline-job", "y"], "--baseline"),
        (["--metric", "rouge"], "rouge is none of bleu, chrf, chrf++, ter"),
        (["--paired", "t-test"], "--paired"),
        (["--detach", "--report", "x"], "--detach"),
        (["--resamples", "-1"], "--resamples"),
    ],
)
def test_flags_that_contradict_each_other_are_named(evaluate, server, arguments, said):
    done = evaluate(*arguments)

    assert (done.exit_code, done.stdout, said in told(done)) == (2, "", True)
    assert server.asked == []


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (["--test-set", "x"], "--pair"),
        (["--pair", "de-en"], "--reference"),
        (["--pair", "de-en", "--reference", "x"], "--source"),
    ],
)
def test_what_every_server_needs_is_asked_for(run, arguments, missing):
    done = run("evaluate", *arguments, "--server", "http://localhost")

    assert (done.exit_code, missing in told(done)) == (2, True)


@pytest.mark.parametrize(
    "wish",
    [
        ["--model", "x"],
        ["--metric", "bleu"],
        ["--resamples", "0"],
        ["--test-set", "x"],
        ["--baseline", "x"],
        ["--detach"],
    ],
)
def test_what_only_a_server_does_needs_one(run, files, wish):
    done = run("evaluate", "--pair", "de-en", *files, *wish)

    assert (done.exit_code, f"{wish[0]}: needs --server" in told(done)) == (2, True)


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://x", "http://", "http://x:y", "http://a b", "http://x:99999"]
)
def test_address_that_is_none_is_refused(run, url):
    done = run("evaluations", "list", "--server", url)

    assert (done.exit_code, "--server" in told(done)) == (2, True)


def test_list_has_a_line_for_each_job(run, server):
    about = {
        "pair": "de-en",
        "model": "tatoeba@2",
        "baseline": "tatoeba@1",
        "test_set": "challenge",
    }
    bodies = [
        job("running", 3, 12, **about).body,
        job("done", 6, 6, pair="fr-en", model=None, scores={"bleu": 36.414}).body,
    ]
    server.will("GET /v1/evaluations", Answer({"evaluations": bodies}))

    shown = run("evaluations", "list", "--server", server.url, "--limit", 7).stdout

    lines = " ".join(shown.split())
    assert f"{ID} 2026-01-02 03:04 running, 25%" in lines
    assert "de-en challenge tatoeba@2 against tatoeba@1" in lines
    assert "done 36.41 fr-en given hypotheses" in lines
    assert server.asked[0].path == "/v1/evaluations?limit=7"


def test_ids_are_not_broken_in_a_narrow_terminal(run, server, monkeypatch):
    about = {"pair": "de-en", "model": f"{'long-name' * 9}@2", "baseline": f"{'long-name' * 9}@1"}
    server.will(
        "GET /v1/evaluations", Answer({"evaluations": [job("running", 3, 12, **about).body]})
    )
    monkeypatch.setattr("service.terminal.PIPE_COLUMNS", 70)

    shown = run("evaluations", "list", "--server", server.url).stdout

    assert ID in shown
    assert max(map(len, shown.splitlines())) <= 70


def test_list_of_some_state_asks_for_it(run, server):
    done = run("evaluations", "list", "--server", server.url, "--status", "running")

    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "note: no evaluations\n")
    assert server.asked[0].path == "/v1/evaluations?limit=20&status=running"


def test_list_as_json_is_that_of_the_server(run, server):
    bodies = [job("done", later={"any": 1}).body]
    server.will("GET /v1/evaluations", Answer({"evaluations": bodies}))

    assert json.loads(run("evaluations", "list", "--json", "--server", server.url).stdout) == bodies


def test_server_of_this_machine_is_the_default(run, server):
    run("evaluations", "list", DRAGOMAN_HOST="0.0.0.0", DRAGOMAN_PORT=str(server.port))

    assert len(server.asked) == 1


def test_job_that_is_under_way_is_shown_without_waiting(run, server):
    server.will(SHOW, job("running", 3))

    done = run("evaluations", "show", ID, "--server", server.url)

    assert (done.exit_code, "running, 50%" in done.stdout) == (0, True)
    assert len(server.asked) == 1


def test_job_is_waited_for_if_wanted(run, server):
    done = run("evaluations", "show", ID, "--wait", "--server", server.url)

    assert (done.exit_code, "37.12" in done.stdout) == (0, True)
    assert len(server.requests(SHOW)) == 4


def test_json_of_a_job_is_that_of_the_server(run, server):
    answer = job("running", 3, later={"any": 1})
    server.will(SHOW, answer)

    shown = run("evaluations", "show", ID, "--json", "--server", server.url).stdout

    assert json.loads(shown) == answer.body


def test_nothing_is_written_of_a_job_that_is_not_done(run, server, tmp_path):
    server.will(SHOW, job("running", 3))
    file = tmp_path / "report.html"

    done = run("evaluations", "show", ID, "--report", file, "--server", server.url)

    assert (done.exit_code, file.exists()) == (1, False)
    assert f"{ID} is running" in told(done)


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_job_without_a_result_is_a_failure(run, server, status):
    server.will(SHOW, job(status))

    assert run("evaluations", "show", ID, "--server", server.url).exit_code == 1


def test_job_is_cancelled(run, server):
    server.will(f"POST /v1/evaluations/{ID}/cancel", job("cancelled"))

    done = run("evaluations", "cancel", ID, "--server", server.url)

    assert (done.exit_code, done.stdout, done.stderr) == (0, "", f"note: {ID} is cancelled\n")


def test_unknown_job_is_told(run, server):
    done = run("evaluations", "cancel", "x", "--server", server.url)

    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {server.url}: Not Found")


@pytest.fixture
def start(server):
    """Start a command in a process of its own, whose server is the fake one."""
    processes = []

    def invoke(*arguments):
        command = [sys.executable, "-m", "service", *map(str, arguments)]
        environment = os.environ | {"DRAGOMAN_SERVER": server.url, "DRAGOMAN_API_KEY": "dgm_1"}
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        processes.append(subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes))
        return processes[-1]

    yield invoke
    for process in processes:
        process.kill()
        process.communicate()


def test_interruption_leaves_the_job_and_says_how_to_look_again(start, server, files):
    server.will(SHOW, job("running", 3))
    process = start("evaluate", "--pair", "de-en", *files)
    assert process.stderr.readline() == f"note: accepted as {ID}\n"
    assert server.has_been_asked(SHOW)

    process.send_signal(signal.SIGINT)

    stdout, stderr = process.communicate()
    assert (process.returncode, stdout) == (130, "")
    assert stderr.splitlines() == [
        f"note: the job goes on: dragoman evaluations show {ID} --wait --server {server.url}",
        f"note: to end it: dragoman evaluations cancel {ID} --server {server.url}",
    ]
    assert server.requests("POST") == server.requests("POST /v1/evaluations")[:1]


def test_interruption_while_sending_says_where_to_look(start, server, files):
    server.will("POST /v1/evaluations", STUCK)
    process = start("evaluate", "--pair", "de-en", *files)
    assert server.has_been_asked("POST")

    process.send_signal(signal.SIGINT)

    stdout, stderr = process.communicate()
    assert (process.returncode, stdout) == (130, "")
    assert stderr == (
        f"note: it may have been accepted: dragoman evaluations list --server {server.url}\n"
    )


def test_commands_load_what_they_need_only():
    code = (
        "import sys; from service.cli import dragoman\n"
        "try: dragoman(['--help'])\n"
        "except SystemExit: pass\n"
        "print({'httpx2', 'service.client', 'service.evaluation_answers'} & sys.modules.keys())\n"
        "try: dragoman(['evaluations', 'list', '--server', 'http://127.0.0.1:9'])\n"
        "except SystemExit: pass\n"
        "print({'onnxruntime', 'sacrebleu', 'fastapi', 'numpy'} & sys.modules.keys())\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[-2:] == ["set()", "set()"]
