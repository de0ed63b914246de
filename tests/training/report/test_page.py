"""The page of a run: whole, offline, and of what the run really did."""

import json
import re

import pytest
from typer.testing import CliRunner

from training.cli import dragoman_train
from training.report.page import choose_steps
from training.samples import SAMPLES, Sample, read_samples, write_samples

HOSTILE = "<script>alert(1)</script> & ich"


def call(toy, *arguments, **changes):
    folders = ["--corpora", toy.corpora, "--runs", toy.runs]
    arguments = [*arguments[:1], toy.recipe(**changes), *folders, *arguments[1:]]
    return CliRunner().invoke(dragoman_train, [str(each) for each in arguments])


def make_page(toy, **changes):
    for command in ("prepare", "train"):
        assert call(toy, command, **changes).exit_code == 0
    shown = call(toy, "report", **changes)
    assert shown.exit_code == 0, shown.stderr
    return (toy.runs / "toy" / "report.html").read_text(encoding="utf-8")


def test_page_tells_of_all_and_loads_nothing(toy):
    page = make_page(toy)

    for heading in ("While it learnt", "Gates", "Attention", "Samples", "By length", "Worst"):
        assert f"<h2>{heading}" in page
    assert set(re.findall(r'(?:src|href)="([a-z]+:)', page)) == {"data:"}
    assert "<script" not in page
    assert "default-src &#39;none&#39;" in page
    assert page.count('<img src="data:image/png;base64,') >= 4
    assert "encoder 1 forwards" not in page  # it is in the pictures


def test_text_of_a_corpus_is_escaped(toy):
    toy.write("dev", [(HOSTILE, "<b>I</b>")] * 4)

    page = make_page(toy, corpus__on_leak="drop")

    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; ich" in page
    assert "&lt;b&gt;I&lt;/b&gt;" in page


def test_cell_without_gates_says_so(toy):
    page = make_page(toy, network__cell="elman", export__variants=["fp32"])

    assert "The cell elman has none." in page


def test_run_that_was_not_trained_is_refused(toy):
    call(toy, "prepare")

    assert "train first" in call(toy, "report").stderr


def test_samples_are_kept_at_each_validation(toy):
    make_page(toy)

    found = read_samples(toy.runs / "toy")

    dev = (toy.corpora / "dev.de").read_text(encoding="utf-8").splitlines()
    assert [sample.source for sample, _ in found] == [dev[0], dev[2], dev[5]]
    assert all(list(by_step) == [3, 6] for _, by_step in found)
    lines = (toy.runs / "toy" / "samples.jsonl").read_text().splitlines()
    assert len(lines) == 2 * SAMPLES
    assert json.loads(lines[0])["direction"] == "de-en"


def test_samples_of_steps_that_were_gone_through_again_are_the_last(tmp_path):
    for step, said in ((1, "a"), (2, "b"), (2, "c")):
        write_samples(tmp_path, step, [Sample("de-en", "x", "y", said)])

    [(sample, by_step)] = read_samples(tmp_path)

    assert by_step == {1: "a", 2: "c"}
    assert sample.translation == "c"


def test_run_without_samples_has_none(tmp_path):
    assert read_samples(tmp_path) == []


@pytest.mark.parametrize("count", [1, 6, 7, 50])
def test_a_few_steps_are_chosen_with_first_and_last(count):
    steps = list(range(0, 10 * count, 10))

    chosen = choose_steps(steps)

    assert (chosen[0], chosen[-1]) == (steps[0], steps[-1])
    assert len(chosen) == len(set(chosen)) == min(count, 6)
