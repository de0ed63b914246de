import random
from dataclasses import replace
from importlib.util import find_spec

import pytest
import sacrebleu

from service.errors import InvalidRequest
from service.evaluation import Analysis, Task, analyse, check_metrics
from tests.sacrebleu_command import METRICS, compare_by_sacrebleu, score_by_sacrebleu

SENTENCE = "the a cat Dog sits, on under table. it's 5.7% (falls) “now” über vote"
WORDS = SENTENCE.split()


def edited(lines, seed, share):
    """Lines in which a share of the words is another, lost, or moved to the end."""
    chance = random.Random(seed)
    changed = []
    for line in lines:
        words = []
        for word in line.split():
            kind = chance.random() / share
            words += [word] if kind > 1 else [chance.choice(WORDS)] if kind > 0.5 else []
        if chance.random() < share:
            words = words[2:] + words[:2]
        changed.append(" ".join(words))
    return changed


chance = random.Random(7)
REFERENCE = [" ".join(chance.choices(WORDS, k=chance.randint(1, 25))) for _ in range(40)]
TASK = Task(
    source=[line.upper() for line in REFERENCE],
    references=[REFERENCE, edited(REFERENCE, 1, 0.2), edited(REFERENCE, 2, 0.3)],
    hypotheses=[*edited(REFERENCE, 3, 0.25)[:-1], ""],
    baseline=edited(REFERENCE, 4, 0.3),
    target="en",
    metrics=("bleu", "chrf", "chrf++", "ter"),
    resamples=100,
    seed=99,
)


@pytest.fixture(scope="module")
def analysis():
    return analyse(replace(TASK, paired="both"))


@pytest.mark.parametrize("metric", METRICS)
def test_scores_signatures_and_intervals_are_those_of_the_sacrebleu_command(
    metric, tmp_path, analysis
):
    arguments = [*METRICS[metric], "--confidence", "--confidence-n", "100"]
    [told] = score_by_sacrebleu(
        tmp_path, TASK.hypotheses, TASK.references, *arguments, seed=99
    ).values()

    [found] = [each for each in analysis.metrics if each.metric == metric]

    mean, half = told["confidence_mean"], told["confidence_var"]
    assert (found.name, found.signature) == (told["name"], told["signature"])
    assert found.score == pytest.approx(told["score"], abs=1e-6)
    assert found.interval == pytest.approx((mean - half, mean + half), abs=1e-5)


def test_details_of_bleu_are_those_of_the_sacrebleu_command(tmp_path, analysis):
    told = score_by_sacrebleu(tmp_path, TASK.hypotheses, TASK.references)["BLEU"]

    details = analysis.metrics[0].details

    precisions = "/".join(f"{precision:.1f}" for precision in details.precisions)
    assert told["verbose_score"] == (
        f"{precisions} (BP = {details.brevity_penalty:.3f} ratio = {details.ratio:.3f} "
        f"hyp_len = {details.hypothesis_length} ref_len = {details.reference_length})"
    )


@pytest.mark.parametrize("metric", METRICS)
def test_paired_bootstrap_is_that_of_the_sacrebleu_command(metric, tmp_path, analysis):
    (other, own), signature = compare_by_sacrebleu(
        *(tmp_path, TASK.hypotheses, TASK.baseline, TASK.references, metric),
        *("--paired-bs", "--paired-bs-n", "100"),
        seed=99,
    )

    [found] = [each for each in analysis.comparison if each.metric == metric]
    test = found.tests[0]

    baseline_score, mean, half = map(float, other[:3])
    interval = (mean - half, mean + half)
    assert found.baseline_score == pytest.approx(baseline_score, abs=1e-6)
    assert found.baseline_interval == pytest.approx(interval, abs=1e-5)
    assert found.delta == pytest.approx(float(own[0]) - baseline_score, abs=2e-6)
    assert (test.test, test.samples, test.signature) == ("paired_bootstrap", 100, signature)
    assert f"{test.p_value:.4f}" == own[3]


TIES = {
    "ter": (
        ["on cat a", "is a x", "c d e", "f g x", "i k l"],
        ["cat a", "is a b", "c d e", "f g h", "i k l"],
        ["on cat a", "is a b", "c d e", "f g h", "i k l"],
    ),
    "chrf": (
        ["sits, vote Dog vote", "vote rain Dog sits,"],
        ["sits, vote Dog vote", "vote rain Dog falls"],
        ["sits, vote Dog vote", "vote rain Dog falls"],
    ),
}


@pytest.mark.parametrize("metric", TIES)
def test_single_precision_decides_between_ties_as_in_the_command(metric, tmp_path):
    hypotheses, baseline, reference = TIES[metric]
    (_, own), _ = compare_by_sacrebleu(
        *(tmp_path, hypotheses, baseline, [reference], metric),
        *("--paired-bs", "--paired-bs-n", "50"),
    )

    task = Task(None, [reference], hypotheses, baseline, "en", metrics=[metric], resamples=50)

    assert f"{analyse(task).comparison[0].tests[0].p_value:.4f}" == own[3]


def test_trials_that_come_to_the_same_difference_are_no_chance(tmp_path):
    hypotheses, baseline, reference = TIES["ter"]
    (_, own), _ = compare_by_sacrebleu(
        tmp_path, hypotheses, baseline, [reference], "ter", "--paired-ar"
    )

    task = Task(None, [reference], hypotheses, baseline, "en", ["ter"], paired="randomisation")

    assert f"{analyse(task).comparison[0].tests[0].p_value:.4f}" == own[3]


@pytest.mark.parametrize("metric", METRICS)
def test_approximate_randomisation_is_that_of_the_sacrebleu_command(metric, tmp_path, analysis):
    (_, own), signature = compare_by_sacrebleu(
        *(tmp_path, TASK.hypotheses, TASK.baseline, TASK.references, metric, "--paired-ar"),
        seed=99,
    )

    [found] = [each for each in analysis.comparison if each.metric == metric]
    test = found.tests[1]

    assert (test.test, test.samples, test.signature) == (
        *("approximate_randomisation", 10_000),
        signature,
    )
    assert f"{test.p_value:.4f}" == own[3]


def test_systems_that_say_the_same_do_not_differ():
    # sacreBLEU gives p = 1 / (samples + 1) here
    found = analyse(replace(TASK, baseline=TASK.hypotheses, metrics=["chrf"], paired="both"))

    [comparison] = found.comparison
    assert comparison.delta == 0.0
    assert [test.p_value for test in comparison.tests] == [1.0, 1.0]


def test_only_what_is_asked_for_is_computed():
    found = analyse(replace(TASK, metrics=["ter"], resamples=0, paired="none"))

    assert [metric.interval for metric in found.metrics] == [None]
    assert [comparison.tests for comparison in found.comparison] == [[]]
    assert [comparison.baseline_interval for comparison in found.comparison] == [None]


def test_paired_bootstrap_without_intervals_draws_as_often_as_sacrebleu():
    found = analyse(replace(TASK, metrics=["bleu"], resamples=0))

    [test] = found.comparison[0].tests
    assert (test.samples, found.metrics[0].interval) == (1000, None)


def test_parts_that_are_drawn_apart_are_those_drawn_at_once(monkeypatch):
    whole = analyse(replace(TASK, paired="both"))

    monkeypatch.setattr("service.evaluation.resampling._DRAWN_AT_ONCE", 2_000)
    monkeypatch.setattr("service.evaluation.scorers.LINES_AT_ONCE", 7)

    assert analyse(replace(TASK, paired="both")) == whole


def test_analysis_survives_json(analysis):
    assert Analysis.model_validate_json(analysis.model_dump_json()) == analysis


@pytest.mark.skipif(find_spec("MeCab") is not None, reason="the Japanese tokenizer is installed")
def test_missing_tokenizer_hinders_only_bleu():
    task = Task(["a"], [["今日は。"]], ["今日"], None, target="ja", metrics=["chrf"], resamples=0)

    found = analyse(task)

    assert found.warnings == [
        "BLEU for ja needs the package sacrebleu[ja]: BLEU of single lines and by length counts "
        "characters instead."
    ]
    assert found.worst[0].bleu == pytest.approx(
        sacrebleu.sentence_bleu("今日", ["今日は。"], tokenize="char").score
    )
    with pytest.raises(InvalidRequest, match=r"BLEU for ja needs the package sacrebleu\[ja\]"):
        check_metrics(["chrf", "bleu"], "ja")


def test_differing_counts_of_the_baseline_are_refused():
    with pytest.raises(InvalidRequest, match="the baseline has 1 lines for 40 hypotheses"):
        analyse(replace(TASK, baseline=["a"]))
