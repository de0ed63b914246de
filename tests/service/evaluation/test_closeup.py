"""Buckets and examples, against sacreBLEU's own scores of the same lines."""

from dataclasses import replace

import pytest
import sacrebleu

from service.evaluation import Task, analyse

SOURCE = ["eins zwei drei vier fünf sechs", "今日は", "eins", "", "zwei", "drei vier"]
FIRST = ["one two three four five six", "hello", "one", "nothing", "two", "three four"]
SECOND = ["1 2 3 4 5 6", "good day", "a one", "nil", "2", "three and four"]
HYPOTHESES = ["one two three four six", "hello", "won", "", "two", "three four"]
BASELINE = ["one two three four five", "hollow", "one", "", "too", "three four"]
TASK = Task(SOURCE, [FIRST, SECOND], HYPOTHESES, BASELINE, target="en", resamples=0, paired="none")


@pytest.fixture(scope="module")
def analysis():
    return analyse(TASK)


def scores(hypotheses, lines):
    own = [hypotheses[line] for line in lines]
    known = [[reference[line] for line in lines] for reference in (FIRST, SECOND)]
    return [
        pytest.approx(sacrebleu.corpus_bleu(own, known).score),
        pytest.approx(sacrebleu.corpus_chrf(own, known).score),
    ]


@pytest.mark.parametrize(
    ("by", "lines_by_bounds"),
    [
        ("source_length", {(0, 0): [3], (1, 5): [1, 2, 4, 5], (6, 10): [0]}),
        ("reference_length", {(1, 5): [1, 2, 3, 4, 5], (6, 10): [0]}),
    ],
)
def test_buckets_hold_the_scores_of_lines_of_like_length(analysis, by, lines_by_bounds):
    buckets = [bucket for bucket in analysis.buckets if bucket.by == by]

    assert [(b.low, b.high) for b in buckets] == list(lines_by_bounds)
    for bucket, lines in zip(buckets, lines_by_bounds.values(), strict=True):
        assert bucket.sentences == len(lines)
        assert [bucket.bleu, bucket.chrf] == scores(HYPOTHESES, lines)
        assert [bucket.baseline_bleu, bucket.baseline_chrf] == scores(BASELINE, lines)


def test_characters_of_a_language_without_spaces_count_as_words():
    lines = ["今日は良い天気ですね、本当に OK"]
    task = replace(TASK, source=lines, references=[lines], hypotheses=lines, baseline=None)

    assert {(b.low, b.high) for b in analyse(task).buckets} == {(11, 15)}


def test_longest_sentences_share_a_bucket_without_a_bound():
    lines = ["word " * 60, "word " * 61, "word " * 500]
    task = replace(TASK, source=None, references=[lines], hypotheses=lines, baseline=None)

    found = [(b.low, b.high, b.sentences) for b in analyse(task).buckets]
    assert found == [(41, 60, 1), (61, None, 2)]


def test_worst_sentences_come_in_the_order_of_their_own_scores(analysis):
    assert [example.index for example in analysis.worst] == [3, 2, 0]
    for example in analysis.worst:
        known = [FIRST[example.index], SECOND[example.index]]
        for line, bleu, chrf in (
            (example.hypothesis, example.bleu, example.chrf),
            (example.baseline, example.baseline_bleu, example.baseline_chrf),
        ):
            assert bleu == pytest.approx(sacrebleu.sentence_bleu(line, known).score)
            assert chrf == pytest.approx(sacrebleu.sentence_chrf(line, known).score)


def test_example_shows_its_lines(analysis):
    worst = analysis.worst[1]

    assert (worst.source, worst.reference) == ("eins", "one")
    assert (worst.hypothesis, worst.baseline) == ("won", "one")


def test_most_changed_sentences_come_first_and_equal_ones_not_at_all(analysis):
    differences = [abs(example.chrf - example.baseline_chrf) for example in analysis.changed]

    assert {example.index for example in analysis.changed} == {0, 1, 2, 4}
    assert differences == sorted(differences, reverse=True)
    assert differences[0] > differences[-1]


def test_no_more_examples_are_shown_than_asked_for():
    found = analyse(replace(TASK, examples=1))

    assert (len(found.worst), len(found.changed)) == (1, 1)


def test_without_a_baseline_nothing_is_compared():
    found = analyse(replace(TASK, baseline=None))

    assert (found.comparison, found.changed, found.identical) == ([], [], None)
    assert {example.baseline for example in found.worst} == {None}
    assert {bucket.baseline_bleu for bucket in found.buckets} == {None}


def test_without_a_source_there_are_buckets_of_references_only():
    found = analyse(replace(TASK, source=None))

    assert {bucket.by for bucket in found.buckets} == {"reference_length"}
    assert {example.source for example in found.worst} == {None}


def test_lines_that_are_empty_or_equal_the_baseline_are_counted(analysis):
    assert (analysis.empty, analysis.identical) == (1, 2)
