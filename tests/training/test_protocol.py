"""lc-tok against what Moses' scripts wrote, and its BLEU against the sacrebleu command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from training.protocol import lc_tok, score_by

# Multi30k may not be copied into this repository: CORPORA names a folder that holds it.
MULTI30K = Path(os.environ.get("CORPORA", "corpora")) / "multi30k"
TOKENISED = sorted((MULTI30K / "tok").glob("*.lc.norm.tok.*"))

HYPOTHESES = ["A man's dog runs.", "Two women, one in a T-shirt, sit here.", "Nobody is there."]
REFERENCES = ["A man's dog is running.", "Two women, one in a T-shirt, sit.", "No one is there"]


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")


@pytest.mark.skipif(not TOKENISED, reason="CORPORA names no folder with multi30k/tok")
@pytest.mark.parametrize("path", TOKENISED, ids=lambda path: path.name)
def test_raw_text_becomes_the_tokenised_text_of_its_publishers(path):
    raw = lines_of(MULTI30K / f"{path.name.split('.')[0]}{path.suffix}")

    ours = lc_tok(raw, path.suffix[1:])

    assert [pair for pair in zip(ours, lines_of(path), strict=True) if pair[0] != pair[1]] == []


@pytest.mark.parametrize(
    ("language", "raw", "expected"),
    [
        ("en", "A man in a T-shirt.", "a man in a t-shirt ."),
        ("en", "The dog's bowl", "the dog &apos;s bowl"),
        ("fr", "L'homme d\u2019ici", "l&apos; homme d&apos; ici"),
        ("de", "Grüße: Ärmel!", "grüße : ärmel !"),
        ("de", "„Komm“, sagt er", "&quot; komm &quot; , sagt er"),
        ("de", 'Auf dem Schild steht "Halt."', "auf dem schild steht &quot; halt &quot; ."),
        ("en", 'The sign says "Stop".', "the sign says &quot; stop . &quot;"),
        ("fr", "un coup d\u2019œil", "un coup d &quot; œil"),
        ("pt-BR", "Um cão corre.", "um cão corre ."),
        ("en", "", ""),
    ],
    ids=[
        "case",
        "English apostrophe",
        "French apostrophe",
        "umlauts",
        "quotation marks",
        "full stop goes out of a German quotation, at the end of a line too",
        "full stop goes into an English quotation",
        "apostrophe before a letter that Perl's a-z does not know",
        "region",
        "empty",
    ],
)
def test_text_becomes_what_the_rules_of_moses_make_of_it(language, raw, expected):
    assert lc_tok([raw], language) == [expected]


def test_line_count_is_kept_whatever_is_in_a_line():
    assert len(lc_tok(["a\u2028b", "\u00a0", "c"], "en")) == 3


def sacrebleu_command(folder, hypotheses, references, *arguments):
    for name, lines in {"hypotheses": hypotheses, "references": references}.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "sacrebleu",
        folder / "references",
        "-i",
        folder / "hypotheses",
    ]
    command += ["-w", "4", "--confidence", "--confidence-n", "50", *arguments]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def told(metric):
    return [round(metric.score, 4), round(metric.interval, 4), metric.signature]


def test_lc_tok_is_bleu_of_tokenised_lines_as_they_are(tmp_path):
    sides = lc_tok(HYPOTHESES, "en"), lc_tok(REFERENCES, "en")
    expected = sacrebleu_command(tmp_path, *sides, "-tok", "none", "--force")

    [metric] = score_by(["lc-tok"], HYPOTHESES, REFERENCES, "en", resamples=50)

    assert metric.name == "lc-tok BLEU"
    assert told(metric) == [expected[key] for key in ("score", "confidence_var", "signature")]


def test_detok_is_bleu_and_chrf_of_the_lines_themselves(tmp_path):
    expected = sacrebleu_command(tmp_path, HYPOTHESES, REFERENCES, "-m", "bleu", "chrf")

    metrics = score_by(["detok"], HYPOTHESES, REFERENCES, "en", resamples=50)

    keys = ("score", "confidence_var", "signature")
    assert [metric.name for metric in metrics] == ["BLEU", "chrF2"]
    assert [told(metric) for metric in metrics] == [[row[key] for key in keys] for row in expected]


def test_protocols_come_side_by_side():
    metrics = score_by(["lc-tok", "detok"], HYPOTHESES, REFERENCES, "en")

    assert [metric.name for metric in metrics] == ["BLEU", "chrF2", "lc-tok BLEU"]
    assert [metric.interval for metric in metrics] == [None] * 3


def test_intervals_are_the_same_each_time():
    first, second = (score_by(["detok"], HYPOTHESES, REFERENCES, "en", 50) for _ in range(2))

    assert first == second


def test_exact_counts_the_lines_that_are_the_reference():
    metrics = score_by(["detok", "exact"], ["12", "3 4", ""], ["12", "34", ""], "qab")

    assert [metric.name for metric in metrics] == ["BLEU", "chrF2", "exact"]
    assert metrics[-1].score == pytest.approx(200 / 3)
