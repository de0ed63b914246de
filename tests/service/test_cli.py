import dataclasses
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import repeat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service import flags
from service.api.dependencies import RequestLimits
from service.cli import dragoman
from service.engine import TranslationOptions, open_translator
from service.settings import SECRETS, Settings

ROOT = Path(__file__).parents[2]
WORDS = ["guten morgen", "ja", "", "der hund und die katze", " ", "nein danke"]


@pytest.fixture
def pair(tiny_bundle):
    direction = tiny_bundle.manifest.directions[0]
    return direction.source, direction.target


@pytest.fixture
def expected(tiny_bundle, pair):
    """What the engine makes of WORDS, greedily."""
    translator = open_translator(tiny_bundle.path, pair)
    yield [t.text for t in translator.translate_all(WORDS, TranslationOptions(beam=1))]
    translator.close()


@pytest.fixture
def run(tiny_bundle, monkeypatch):
    """Run a command in this process, with the tiny bundle's folder as the folder of bundles."""
    monkeypatch.setenv("DRAGOMAN_BUNDLES", str(tiny_bundle.path.parents[1]))
    monkeypatch.setenv("DRAGOMAN_WORKERS", "1")
    monkeypatch.setenv("COLUMNS", "120")

    def invoke(*arguments, stdin=b""):
        return CliRunner().invoke(dragoman, [str(part) for part in arguments], input=stdin)

    return invoke


@pytest.fixture
def start(tiny_bundle):
    """Start a command in a process of its own."""
    environment = os.environ | {
        "DRAGOMAN_BUNDLES": str(tiny_bundle.path.parents[1]),
        "DRAGOMAN_WORKERS": "1",
        "LC_ALL": "C",
    }
    processes = []

    def invoke(*arguments, **streams):
        command = [sys.executable, "-m", "service", *arguments]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE) | streams
        processes.append(subprocess.Popen(command, cwd=ROOT, env=environment, **pipes))
        return processes[-1]

    yield invoke
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def test_set(tmp_path):
    source, reference = tmp_path / "source.txt", tmp_path / "reference.txt"
    source.write_text("guten morgen\nja\nder hund\n", encoding="utf-8")
    reference.write_text("good morning\nyes\nthe dog\n", encoding="utf-8")
    return source, reference


class Answering(BaseHTTPRequestHandler):
    """Answers every request with the server's `status`, and notes its path."""

    def do_GET(self):
        self.server.asked.append(self.path)
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with HTTPServer(("127.0.0.1", 0), Answering) as serving:
        serving.status, serving.asked = 200, []
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def closed_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_each_argument_becomes_one_line(run, pair, expected):
    result = run("translate", "--from", pair[0], "--to", pair[1], "--beam", 1, *WORDS)

    assert result.stdout == "".join(f"{line}\n" for line in expected)
    assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last_end", ["", "end"])
def test_each_line_of_standard_input_becomes_one_line(run, pair, expected, end, last_end):
    stdin = end.join(WORDS) + last_end.replace("end", end)

    result = run("translate", "--from", pair[0], "--to", pair[1], "--beam", 1, stdin=stdin)

    assert result.stdout == "".join(f"{line}\n" for line in expected)


def test_empty_input_has_empty_output(run, pair):
    result = run("translate", "--from", pair[0], "--to", pair[1])

    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_detected_lines_come_back_one_for_one(run, pair):
    stdin = "\n".join([*WORDS, "and this is English beyond all doubt"])

    result = run("translate", "--from", "auto", "--to", pair[1], stdin=stdin)

    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == len(WORDS) + 1


def test_json_has_an_object_for_each_line(run, pair, expected):
    arguments = ("--from", pair[0], "--to", pair[1], "--beam", 1, "--json")

    result = run("translate", *arguments, stdin="\n".join(WORDS))

    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert [answer["text"] for answer in answers] == expected
    assert {(answer["source"], answer["target"]) for answer in answers} == {pair}


def test_json_holds_the_alternatives(run, pair):
    arguments = ("--from", pair[0], "--to", pair[1], "--alternatives", 2, "--json")

    result = run("translate", *arguments, "guten morgen")

    assert len(json.loads(result.stdout)["alternatives"]) == 2


def test_flags_of_the_search_do_what_the_fields_of_a_request_do(run, pair, tiny_bundle):
    search = ("--beam", 3, "--length-penalty", 0.5, "--max-tokens", 9, "--no-repeat-ngram", 2)
    options = TranslationOptions(3, 0.5, 0, 9, 2, 0.25, attention=True)
    translator = open_translator(tiny_bundle.path, pair)
    [expected] = translator.translate_all(["guten morgen"], options)
    translator.close()

    arguments = ("--from", pair[0], "--to", pair[1], "--json", "--attention")
    result = run("translate", *arguments, *search, "--coverage-penalty", 0.25, "guten morgen")

    told = {name: x for name, x in dataclasses.asdict(expected).items() if x is not None}
    # Spans are lists in JSON.
    assert json.loads(result.stdout) == json.loads(json.dumps(told))


def test_json_has_no_attention_unasked(run, pair):
    result = run("translate", "--from", pair[0], "--to", pair[1], "--json", "ja")

    assert "attention" not in json.loads(result.stdout)


def test_line_that_is_not_utf8_ends_the_work_after_those_before_it(run, pair, expected):
    stdin = "\n".join(WORDS[:2]).encode() + b"\nGr\xfc\xdfe\nja\n"

    result = run("translate", "--from", pair[0], "--to", pair[1], "--beam", 1, stdin=stdin)

    assert result.stdout.splitlines() == expected[:2]
    assert result.stderr == "error: standard input, line 3: not UTF-8 (byte 3 is 0xfc)\n"
    assert result.exit_code == 1


def test_argument_that_is_not_utf8_is_refused(start, pair):
    process = start("translate", "--from", pair[0], "--to", pair[1], b"Gr\xfc\xdfe")

    _, stderr = process.communicate()

    assert (process.returncode, stderr) == (1, b"error: text 1: not UTF-8\n")


def test_closed_standard_input_is_one_sentence(start, pair):
    process = start(
        "translate", "--from", pair[0], "--to", pair[1], preexec_fn=partial(os.close, 0)
    )

    _, stderr = process.communicate()

    assert (process.returncode, stderr) == (1, b"error: standard input is closed\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
def test_full_disk_is_one_sentence(start, pair):
    with Path("/dev/full").open("wb") as full:
        process = start("translate", "--from", pair[0], "--to", pair[1], "ja", stdout=full)

    _, stderr = process.communicate()

    assert (process.returncode, stderr) == (1, b"error: No space left on device\n")


def test_lines_come_out_while_input_goes_on_and_a_closed_reader_ends_it_quietly(start, pair):
    endless = subprocess.Popen(["yes", "ja"], stdout=subprocess.PIPE)
    process = start("translate", "--from", pair[0], "--to", pair[1], stdin=endless.stdout)
    endless.stdout.close()

    first = [process.stdout.readline() for _ in repeat(None, 3)]
    process.stdout.close()

    assert process.stderr.read() == b""
    assert process.wait() == 1
    assert len(set(first)) == 1
    assert first[0].endswith(b"\n")
    endless.wait()


def test_line_is_answered_before_the_next_one_is_written(start, pair):
    process = start("translate", "--from", pair[0], "--to", pair[1])

    for _ in range(3):
        process.stdin.write(b"guten morgen\n")
        process.stdin.flush()
        assert process.stdout.readline()
    stdout, stderr = process.communicate()

    assert (process.returncode, stdout, stderr) == (0, b"", b"")


def test_interrupt_ends_quietly(start, pair):
    with subprocess.Popen(["yes", "ja"], stdout=subprocess.PIPE) as endless:
        process = start("translate", "--from", pair[0], "--to", pair[1], stdin=endless.stdout)
        endless.stdout.close()
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate()

    assert (process.returncode, stderr) == (130, b"")


def test_output_is_utf8_in_any_locale(start):
    process = start("bundles", "--bundles", "/nowhere/Füße")

    assert "/nowhere/Füße" in process.communicate()[1].decode("utf-8")


def test_scores_equal_those_of_the_sacrebleu_command(run, pair, test_set, tmp_path):
    source, reference = test_set
    hypotheses = tmp_path / "hypotheses.txt"
    files = ("--source", source, "--reference", reference, "--reference", source)

    result = run("evaluate", "--pair", "-".join(pair), *files, "--hypotheses", hypotheses, "--json")

    sacrebleu = [sys.executable, "-m", "sacrebleu", reference, source, "-i", hypotheses]
    sacrebleu += ["-m", "bleu", "chrf", "ter", "-w", "6"]
    theirs = json.loads(subprocess.run(sacrebleu, capture_output=True, check=True).stdout)
    ours = json.loads(result.stdout)["metrics"]
    assert [(m["name"], round(m["score"], 6), m["signature"]) for m in ours] == [
        (m["name"], m["score"], m["signature"]) for m in theirs
    ]


def test_lines_that_make_a_score_doubtful_are_told_beside_it(run, pair, test_set):
    source, _ = test_set

    result = run("evaluate", "--pair", "-".join(pair), "--source", source, "--reference", source)

    assert "warning: The reference equals the source in 3 of 3 lines." in result.stderr
    assert "BLEU" in result.stdout


def test_json_names_the_circumstances(run, pair, test_set, tiny_bundle):
    source, reference = test_set
    files = ("--source", source, "--reference", reference)

    result = run("evaluate", "--pair", "-".join(pair), *files, "--beam", 2, "--json")

    fields = json.loads(result.stdout)
    assert (fields["model"], fields["pair"]) == (tiny_bundle.identity, "-".join(pair))
    assert (fields["beam"], fields["sentences"]) == (2, 3)
    assert fields["length_penalty"] == tiny_bundle.manifest.decoding.length_penalty
    assert fields["sentences_per_second"] == pytest.approx(3 / fields["seconds"])


def test_table_shows_every_metric_with_its_signature(run, pair, test_set):
    source, reference = test_set

    result = run("evaluate", "--pair", "-".join(pair), "--source", source, "--reference", reference)

    shown = result.stdout
    assert re.search(r"BLEU +\d+\.\d\d +nrefs:1\|case:mixed\|eff:no\|tok:13a\|smooth:exp", shown)
    assert re.search(r"chrF2 +\d+\.\d\d +nrefs:1\|case:mixed\|eff:yes\|nc:6\|nw:0", shown)
    assert re.search(r"TER +\d+\.\d\d +nrefs:1\|case:lc\|tok:tercom", shown)
    assert re.search(r"3 sentences in \d+\.\d s, [\d,.]+ a second; \d truncated, \d stopped", shown)


def test_search_that_differs_from_the_models_own_is_named(run, pair, test_set):
    source, reference = test_set
    files = ("--source", source, "--reference", reference)

    result = run(
        "evaluate",
        *("--pair", "-".join(pair), *files, "--beam", 2, "--length-penalty", 0.5),
        *("--no-repeat-ngram", 3, "--coverage-penalty", 0.2),
    )

    search = "beam 2, length penalty 0.5, no 3-gram twice, coverage penalty 0.2"
    assert search in " ".join(result.stdout.split())


def test_files_of_different_length_are_refused(run, pair, test_set):
    source, reference = test_set
    reference.write_text("good morning\nyes\n", encoding="utf-8")

    result = run("evaluate", "--pair", "-".join(pair), "--source", source, "--reference", reference)

    assert result.stderr == "error: reference 1 has 2 lines for 3 source lines\n"
    assert (result.exit_code, result.stdout) == (1, "")


def test_empty_source_is_refused(run, pair, test_set):
    source, reference = test_set
    source.write_text("")

    result = run("evaluate", "--pair", "-".join(pair), "--source", source, "--reference", reference)

    assert (result.exit_code, result.stderr) == (1, "error: there are no source lines\n")


def test_missing_file_is_named(run, pair, tmp_path):
    missing = tmp_path / "missing"

    result = run("evaluate", "--pair", "-".join(pair), "--source", missing, "--reference", missing)

    assert (result.exit_code, result.stderr) == (
        1,
        f"error: {missing}: No such file or directory\n",
    )


def test_place_for_hypotheses_is_tried_before_the_work(run, pair, test_set, tmp_path):
    source, reference = test_set
    files = ("--source", source, "--reference", reference)
    nowhere = tmp_path / "missing" / "hypotheses.txt"

    result = run("evaluate", "--pair", "-".join(pair), *files, "--hypotheses", nowhere)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"error: {nowhere}: No such file or directory\n"


def test_sound_bundles_are_listed_as_verified(run, tiny_bundle):
    result = run("bundles")

    assert result.exit_code == 0
    assert tiny_bundle.identity in result.stdout
    assert "verified" in result.stdout


def test_folder_without_bundles_is_noted(run, tmp_path):
    result = run("bundles", "--bundles", tmp_path)

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"note: no bundles in {tmp_path}\n"


def test_json_lists_bundles(run, tiny_bundle):
    [listed] = json.loads(run("bundles", "--json").stdout)

    assert (listed["bundle"], listed["damage"]) == (tiny_bundle.identity, None)
    assert listed["size_bytes"] == sum(f.size_bytes for f in tiny_bundle.manifest.files.values())


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_ready_server_is_healthy(run, server, monkeypatch, host):
    monkeypatch.setenv("DRAGOMAN_HOST", host)
    monkeypatch.setenv("DRAGOMAN_PORT", str(server.server_port))

    result = run("healthcheck")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "ready\n", "")
    assert server.asked == ["/readyz"]


def test_server_that_is_not_ready_is_not_healthy(run, server):
    server.status = 503
    url = f"http://127.0.0.1:{server.server_port}/"

    result = run("healthcheck", "--url", url)

    assert (result.exit_code, result.stderr) == (1, f"error: {url}readyz answers 503\n")


def test_proxy_of_the_environment_is_not_asked(run, server, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")

    assert run("healthcheck", "--url", f"http://127.0.0.1:{server.server_port}").exit_code == 0


@pytest.mark.parametrize(("host", "shown"), [("::", "[::1]"), ("127.0.0.1", "127.0.0.1")])
def test_absent_server_is_not_healthy(run, monkeypatch, host, shown):
    port = closed_port()
    monkeypatch.setenv("DRAGOMAN_HOST", host)
    monkeypatch.setenv("DRAGOMAN_PORT", str(port))

    result = run("healthcheck")

    assert result.stderr.startswith(f"error: http://{shown}:{port}/readyz does not answer: ")
    assert result.exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["translate"],
        ["translate", "--from", "de", "--to", "en", "--beam", "0", "ja"],
        ["translate", "--from", "de", "--to", "en", "--alternatives", "2", "ja"],
        ["translate", "--from", "de", "--to", "en", "--attention", "ja"],
        ["translate", "--from", "de", "--to", "en", "--length-penalty", "10.1", "ja"],
        ["translate", "--from", "de", "--to", "en", "--no-repeat-ngram", "17", "ja"],
        ["translate", "--from", "de", "--to", "en", "--coverage-penalty", "-1", "ja"],
        ["evaluate", "--pair", "deen", "--source", "x", "--reference", "y"],
        ["healthcheck", "--url", "file:///etc"],
        ["serve", "--port", "99999999"],
    ],
)
def test_wrong_usage_ends_with_status_2(run, arguments):
    result = run(*arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr


def test_unsupported_pair_is_one_sentence(run):
    result = run("translate", "--from", "xx", "--to", "yy", "ja")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


def test_wrong_variable_is_named(run, monkeypatch):
    monkeypatch.setenv("DRAGOMAN_MAX_ROWS", "0")

    result = run("bundles")

    assert result.exit_code == 2
    assert result.stderr.startswith("error: DRAGOMAN_MAX_ROWS: ")


def test_flag_wins_over_the_environment(run, monkeypatch):
    monkeypatch.setenv("DRAGOMAN_MAX_ROWS", "64")

    result = run("serve", "--max-rows", "0")

    assert result.exit_code == 2
    assert result.stderr.startswith("error: --max-rows: ")


def test_serve_has_a_flag_for_each_setting(run):
    shown = run("serve", "--help").stdout

    missing = {n for n in Settings.model_fields if f"--{n.replace('_', '-')} " not in shown}
    assert missing == SECRETS  # on a command line, every user of the machine could read them


def test_file_of_settings_that_is_wrong_is_named(run, tmp_path):
    (tmp_path / "its.toml").write_text("max_row = 1\n", encoding="utf-8")

    result = run("serve", "--config", str(tmp_path / "its.toml"))

    assert result.exit_code == 2
    assert "its.toml: max_row is not a setting; did you mean max_rows?" in result.stderr


def test_flag_that_there_is_not_is_refused_with_the_nearest(run):
    result = run("serve", "--max-row", "1")

    assert result.exit_code == 2
    assert "--max-rows" in result.stderr


def test_file_of_settings_serves_other_commands_too(run, monkeypatch, tmp_path):
    (tmp_path / "its.toml").write_text(f"bundles = '{tmp_path}'\n", encoding="utf-8")
    monkeypatch.delenv("DRAGOMAN_BUNDLES")
    monkeypatch.setenv("DRAGOMAN_CONFIG", str(tmp_path / "its.toml"))

    assert f"no bundles in {tmp_path}" in run("bundles").stderr


def test_limits_of_flags_are_those_of_requests():
    limits = RequestLimits(1, 1, 1, 1, 1, 1, 1)

    assert (limits.max_penalty, limits.max_ngram) == (flags.MAX_PENALTY, flags.MAX_NGRAM)


def test_help_and_healthcheck_load_no_engine_and_no_web_framework():
    code = (
        "import sys; from service.cli import dragoman\n"
        "for arguments in (['--help'], ['healthcheck', '--url', 'http://127.0.0.1:9']):\n"
        "    try: dragoman(arguments)\n"
        "    except SystemExit: pass\n"
        "slow = {'onnxruntime', 'fastapi', 'sacrebleu', 'numpy', 'torch'} & sys.modules.keys()\n"
        "sys.exit(str(slow) if slow else 0)\n"
    )

    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False
    )

    assert (finished.returncode, finished.stderr.count(b"does not answer")) == (0, 1)
