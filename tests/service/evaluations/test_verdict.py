import pytest

from service.evaluations.verdict import judge, signed, summarise
from tests.reports import comparison


@pytest.mark.parametrize(
    ("metric", "delta", "p_values", "verdict"),
    [
        ("bleu", 1.5, (0.01,), "better"),
        ("bleu", -1.5, (0.01,), "worse"),
        ("ter", -1.5, (0.01,), "better"),
        ("ter", 1.5, (0.01,), "worse"),
        ("bleu", 1.5, (0.05,), "unclear"),
        ("bleu", -1.5, (0.05,), "unclear"),
        ("bleu", 0.0, (0.01,), "unclear"),
        ("bleu", 1.5, (), "untested"),
    ],
)
def test_verdict_follows_the_direction_of_the_metric_and_the_test(metric, delta, p_values, verdict):
    assert judge(comparison(metric, delta, *p_values)) == verdict


def test_better_takes_every_test_and_worse_takes_one():
    assert judge(comparison("bleu", 1.5, 0.01, 0.2)) == "unclear"
    assert judge(comparison("bleu", -1.5, 0.01, 0.2)) == "worse"


def test_one_metric_that_is_worse_makes_the_whole_worse():
    verdict, sentence = summarise(
        [
            comparison("bleu", 1.5, 0.01),
            comparison("chrf", 1.0, 0.02),
            comparison("ter", 2.0, 0.01),
        ]
    )

    assert verdict == "worse"
    assert sentence == "Worse in TER (+2.00), better in BLEU (+1.50) and chrF2 (+1.00)."


def test_one_metric_that_is_better_is_enough_if_none_is_worse():
    verdict, sentence = summarise([comparison("bleu", 0.1, 0.3), comparison("ter", -2.0, 0.01)])

    assert verdict == "better"
    assert sentence == "Better in TER (\u22122.00), no clear difference in BLEU (+0.10)."


def test_nothing_is_said_of_what_was_not_compared():
    assert summarise([])[0] == "untested"


def test_number_that_rounds_to_zero_has_no_sign():
    assert [signed(number) for number in (-0.001, 0.0, 0.001, -0.5)] == [
        "0.00",
        "0.00",
        "0.00",
        "\u22120.50",
    ]
