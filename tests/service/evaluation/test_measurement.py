import json
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec

import pytest
import sacrebleu

from service.engine import TranslationOptions
from service.errors import InvalidRequest
from service.evaluation import evaluate, find_nearest, score, score_sentences, score_tokens

HYPOTHESES = [
    "The cat sits on the mat.",
    "It is raining heavily today, isn't it?",
    "“Nobody knows” what  he said!",
    "",
    "5.7% of the 1,200 votes",
]
REFERENCES = [
    [
        "The cat sat on the mat.",
        "It's raining hard today, isn't it?",
        "“Nobody” knows what he said.",
        "Yes.",
        "5.7 % of 1200 votes",
    ],
    [
        "A cat is sitting on the mat.",
        "It is raining heavily today.",
        "No one knows what he said!",
        "Indeed",
        "5.7% of the 1,200 votes",
    ],
]
CHINESE = (["今天天气很好。", "我不知道 OK"], [["今天的天气很好。", "我不知道 “OK”"]])
DEFAULTS = TranslationOptions()


@dataclass
class Defaults:
    beam: int = 4
    length_penalty: float = 0.6


@dataclass
class Spoken:
    text: str
    finish_reason: str = "eos"


@dataclass
class Parrot:
    """A translator that says what it is told to say, whatever it is asked."""

    answers: list[Spoken]
    target: str = "en"
    model: str = "parrot/1"
    defaults: Defaults = field(default_factory=Defaults)
    asked: list[str] = field(default_factory=list)

    def translate_all(self, texts, options):
        for text, answer in zip(texts, self.answers, strict=True):
            self.asked.append(text)
            yield answer


@pytest.fixture
def parrot():
    return Parrot([Spoken(line) for line in HYPOTHESES])


def sacrebleu_command(folder, hypotheses, references, *arguments, key="score"):
    files = []
    for number, lines in enumerate([hypotheses, *references]):
        files.append(folder / f"{number}.txt")
        files[-1].write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    command = [sys.executable, "-m", "sacrebleu", *files[1:], "-i", files[0]]
    command += ["-m", "bleu", "chrf", "ter", "-w", "6", *arguments]
    answer = subprocess.run(command, capture_output=True, check=True).stdout
    return {row["name"]: (row[key], row["signature"]) for row in json.loads(answer)}


def rounded(metrics):
    return {metric.name: (round(metric.score, 6), metric.signature) for metric in metrics}


def test_scores_and_signatures_are_those_of_the_sacrebleu_command(tmp_path):
    expected = sacrebleu_command(tmp_path, HYPOTHESES, REFERENCES)

    assert rounded(score(HYPOTHESES, REFERENCES, "en")) == expected


def test_chinese_is_tokenized_as_chinese(tmp_path):
    expected = sacrebleu_command(tmp_path, *CHINESE, "--tokenize", "zh")

    assert rounded(score(*CHINESE, "zh-Hans")) == expected


@pytest.mark.skipif(find_spec("MeCab") is not None, reason="the Japanese tokenizer is installed")
def test_missing_tokenizer_is_refused_by_name():
    with pytest.raises(InvalidRequest, match=r"BLEU for ja needs the package sacrebleu\[ja\]"):
        score(["今日は。"], [["今日は。"]], "ja")


def test_only_the_metrics_asked_for_are_computed():
    assert [m.name for m in score(HYPOTHESES, REFERENCES, "en", ["chrf"])] == ["chrF2"]


def test_identical_lines_score_full_marks():
    same = REFERENCES[0]

    assert [m.score for m in score(same, [same], "en")] == pytest.approx([100.0, 100.0, 0.0])


def test_differing_counts_are_refused_with_both_counts():
    with pytest.raises(InvalidRequest, match="reference 2 has 4 lines for 5 hypotheses"):
        score(HYPOTHESES, [REFERENCES[0], REFERENCES[1][:4]], "en")


def test_nothing_to_score_is_refused():
    with pytest.raises(InvalidRequest, match="there are no hypotheses"):
        score([], [[]], "en")


def test_scoring_without_a_reference_is_refused():
    with pytest.raises(InvalidRequest, match="there is no reference"):
        score(HYPOTHESES, [], "en")


def test_evaluation_scores_what_the_translator_says(parrot):
    evaluation = evaluate(parrot, iter("abcde"), REFERENCES, DEFAULTS)

    assert evaluation.metrics == score(HYPOTHESES, REFERENCES, "en")
    assert evaluation.hypotheses == HYPOTHESES
    assert evaluation.sentences == 5
    assert parrot.asked == list("abcde")


def test_evaluation_names_the_search_that_was_used(parrot):
    as_default = evaluate(parrot, "abcde", REFERENCES, DEFAULTS)
    as_asked = evaluate(parrot, "abcde", REFERENCES, TranslationOptions(beam=1, length_penalty=0.0))

    assert (as_default.model, as_default.beam, as_default.length_penalty) == ("parrot/1", 4, 0.6)
    assert (as_asked.model, as_asked.beam, as_asked.length_penalty) == ("parrot/1", 1, 0.0)


def test_evaluation_counts_what_was_cut_short():
    reasons = ("length", "eos", "length", "repetition")
    parrot = Parrot([Spoken("a", reason) for reason in reasons])

    evaluation = evaluate(parrot, "wxyz", [list("abcd")], DEFAULTS)

    assert (evaluation.truncated, evaluation.stopped) == (2, 1)


def test_evaluation_tells_what_makes_its_lines_doubtful(parrot):
    evaluation = evaluate(parrot, REFERENCES[0], REFERENCES, DEFAULTS)

    assert evaluation.warnings == ["Reference 1 equals the source in 5 of 5 lines."]


def test_line_break_in_a_translation_does_not_shift_the_lines_after_it():
    parrot = Parrot([Spoken("a\nb\rc"), Spoken("d\r\n"), Spoken("e\u2028f\x0bg")])

    hypotheses = evaluate(parrot, "xyz", [["a b", "c", "d"]], DEFAULTS).hypotheses

    assert hypotheses == ["a b c", "d ", "e\u2028f\x0bg"]  # as in evaluations of a server


def test_evaluation_reports_every_line(parrot):
    seen = []

    evaluate(parrot, "abcde", REFERENCES, DEFAULTS, seen.append)

    assert seen == [1, 2, 3, 4, 5]


def test_counts_are_compared_before_anything_is_translated(parrot):
    with pytest.raises(InvalidRequest, match="reference 1 has 5 lines for 4 source lines"):
        evaluate(parrot, "abcd", REFERENCES, DEFAULTS)

    assert parrot.asked == []


@pytest.mark.skipif(find_spec("MeCab") is not None, reason="the Japanese tokenizer is installed")
def test_missing_tokenizer_is_told_before_anything_is_translated(parrot):
    parrot.target = "ja"

    with pytest.raises(InvalidRequest, match="BLEU for ja needs the package"):
        evaluate(parrot, "abcde", REFERENCES, DEFAULTS)

    assert parrot.asked == []


def test_tokenised_lines_are_compared_as_they_are(tmp_path):
    lines = ["A don &apos;t ,", "b-c . d e"], [["A don &apos;t .", "b-c , d e"]]
    expected = sacrebleu_command(tmp_path, *lines, "--tokenize", "none", "--force")

    metric = score_tokens(*lines)

    assert rounded([metric])["BLEU"] == expected["BLEU"]


def test_interval_is_that_of_the_sacrebleu_command(tmp_path):
    expected = sacrebleu_command(
        tmp_path,
        HYPOTHESES,
        REFERENCES,
        "--confidence",
        "--confidence-n",
        "30",
        key="confidence_var",
    )

    metrics = score(HYPOTHESES, REFERENCES, "en", resamples=30)

    assert {m.name: (pytest.approx(m.interval, abs=1e-4), m.signature) for m in metrics} == expected


def test_lines_that_never_agree_have_an_interval_of_nothing():
    [bleu] = score(["a"] * 3, [["b"] * 3], "en", ["bleu"], resamples=10)

    assert (bleu.score, bleu.interval) == (0.0, 0.0)


def test_resamples_of_which_some_score_nothing_have_an_interval():
    # sacreBLEU 2.6 itself fails here: it cannot average its own scores
    hypotheses, references = ["a"] * 2, ["b", "a"]

    [chrf] = score(hypotheses, [references], "en", ["chrf"], resamples=1000)

    assert chrf.interval == 50.0


def test_tokenised_lines_of_differing_counts_are_refused():
    with pytest.raises(InvalidRequest, match="reference 1 has 1 lines for 2 hypotheses"):
        score_tokens(["a", "b"], [["a"]])


@pytest.mark.parametrize(
    ("metric", "scorer"), [("bleu", "sentence_bleu"), ("chrf", "sentence_chrf")]
)
def test_nearest_hypothesis_is_that_of_the_best_sentence_score(metric, scorer):
    candidates = [HYPOTHESES, HYPOTHESES[::-1], HYPOTHESES[1:4], HYPOTHESES[2:3]]
    references = [list(pair) for pair in zip(*REFERENCES, strict=True)][:4]
    measure = getattr(sacrebleu, scorer)

    found = find_nearest(candidates, references, "en", metric)

    scores = [
        [measure(each, known).score for each in own]
        for own, known in zip(candidates, references, strict=True)
    ]
    assert found == [own.index(max(own)) for own in scores]
    assert len(set(found)) > 1


@pytest.mark.parametrize(
    ("metric", "scorer"), [("bleu", "sentence_bleu"), ("chrf", "sentence_chrf")]
)
def test_sentence_scores_are_those_of_sacrebleu(metric, scorer):
    measure = getattr(sacrebleu, scorer)

    found = score_sentences(HYPOTHESES, REFERENCES[0], "en", metric)

    pairs = zip(HYPOTHESES, REFERENCES[0], strict=True)
    assert found == [measure(own, [known]).score for own, known in pairs]


def test_first_of_equally_near_hypotheses_is_taken():
    assert find_nearest([["no", "none", "the cat", "the cat"]], [["the cat"]], "en", "bleu") == [2]
