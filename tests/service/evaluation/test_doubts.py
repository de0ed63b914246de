from dataclasses import replace

import pytest

from service.evaluation import Task
from service.evaluation.doubts import find_doubts

PLAIN = ["It's 5.7% of the votes.", "Is that so, then?", "C'est à dire : oui !", "Dragoman"] * 25
OTHERS = ["That is 5.7 % of all votes.", "Is it so?", "So: yes!", "A dragoman"] * 25
SOURCE = ["Das sind 5,7 % der Stimmen.", "Ist das so?", "Also ja!", "Der Dragoman"] * 25
TASK = Task(SOURCE, [PLAIN], OTHERS, PLAIN, target="en")

TOKENISED = "tokenised, with spaces before marks or what tokenizers leave behind"


def doubts(**changes):
    return find_doubts(replace(TASK, **changes))


def test_lines_as_people_write_them_raise_no_doubt():
    assert doubts(references=[OTHERS, OTHERS[::-1]]) == []


@pytest.mark.parametrize(
    "line",
    [
        "so , it is",
        "it is .",
        "it &apos;s so",
        "well @-@ known",
        "a drago@@ man",
        "a drago@@",
        "&quot; so &quot;",
    ],
)
def test_traces_of_a_tokenizer_are_found(line):
    [doubt] = doubts(references=[OTHERS, [line] * 10 + OTHERS[10:]])

    assert doubt.startswith(f"Reference 2 looks {TOKENISED}")


def test_tokenised_hypotheses_are_found_too():
    [doubt] = doubts(hypotheses=["so , it is ."] * 100)

    assert doubt.startswith(f"The hypotheses look {TOKENISED}")


def test_few_spaces_before_marks_are_no_trace():
    assert doubts(hypotheses=["it is ."] * 9 + OTHERS[9:]) == []


def test_references_without_capitals_beside_hypotheses_with_them_are_found():
    lower = [line.lower() for line in OTHERS]

    assert doubts(references=[lower]) == [
        "The reference has no capital letters, but the hypotheses have: BLEU and chrF count each "
        "as a fault."
    ]
    assert doubts(references=[lower], hypotheses=[line.lower() for line in PLAIN]) == []


def test_language_without_capitals_raises_no_doubt():
    assert doubts(references=[["今日は。"] * 100], target="zh", metrics=["bleu"]) == []


def test_references_that_equal_the_source_are_counted():
    assert doubts(references=[SOURCE[:11] + OTHERS[11:]]) == [
        "The reference equals the source in 11 of 100 lines."
    ]


def test_names_that_stay_as_they_are_raise_no_doubt():
    assert doubts(references=[SOURCE[:10] + OTHERS[10:]]) == []


def test_empty_references_are_counted():
    assert doubts(references=[["", " ", *OTHERS[2:]]]) == [
        "The reference has 2 empty lines of 100."
    ]


def test_baseline_that_says_the_same_is_told():
    assert doubts(baseline=list(OTHERS)) == [
        "The baseline has the same hypotheses: there is nothing to compare."
    ]


def test_few_lines_say_little():
    few = Task(None, [PLAIN[:8]], OTHERS[:8], PLAIN[:8], target="en")

    assert find_doubts(few) == ["Intervals and p-values of 8 lines say little."]
    assert find_doubts(replace(few, resamples=0, paired="none")) == []


@pytest.mark.parametrize(
    ("target", "metrics", "misled"),
    [
        ("zh-Hans", ["bleu", "ter"], ["TER"]),
        ("th", ["bleu", "ter"], ["TER", "BLEU"]),
        ("th", ["chrf"], []),
        ("de", ["bleu", "ter"], []),
    ],
)
def test_metrics_of_words_are_doubted_where_no_spaces_are_written(target, metrics, misled):
    found = doubts(target=target, metrics=metrics)

    assert [doubt.split()[0] for doubt in found] == misled
