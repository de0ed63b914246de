import pytest

from service.errors import PromotionRefused
from service.promotions.gate import check
from tests.verdicts import compared, report


@pytest.mark.parametrize(
    "comparison",
    [
        [compared("bleu", 1.2, 0.001)],
        [compared("bleu", -0.3, 0.2)],
        [compared("bleu", 0.0, 0.01)],
        [compared("ter", -2.0, 0.001)],
        [compared("bleu", -0.1, 0.05), compared("chrf", 0.5, 0.01)],
    ],
)
def test_version_that_is_not_significantly_worse_may_serve(comparison):
    check(report("tiny@2", "tiny@1", *comparison), "tiny", "2", "1")


@pytest.mark.parametrize(
    ("comparison", "told"),
    [
        ([compared("bleu", -1.25, 0.0312)], r"BLEU -1\.25 \(p = 0\.0312\)"),
        ([compared("ter", 2.0, 0.001)], r"TER \+2\.00 \(p = 0\.0010\)"),
        ([compared("bleu", -0.5, 0.3, 0.04)], r"BLEU -0\.50 \(p = 0\.0400\)"),
        (
            [compared("bleu", 1, 0.01), compared("chrf", -1, 0.01), compared("ter", 3, 0.02)],
            r"chrF2 -1\.00 \(p = 0\.0100\), TER \+3\.00 \(p = 0\.0200\)",
        ),
    ],
)
def test_version_that_is_significantly_worse_is_refused_by_metric(comparison, told):
    message = f"^tiny@2 is significantly worse than tiny@1, which serves: {told}$"

    with pytest.raises(PromotionRefused, match=message):
        check(report("tiny@2", "tiny@1", *comparison), "tiny", "2", "1")


@pytest.mark.parametrize(
    ("of", "baseline", "comparison", "message"),
    [
        ("tiny@3", "tiny@1", [compared("bleu", 1, 0.01)], "is of tiny@3, not of tiny@2"),
        (None, "tiny@1", [compared("bleu", 1, 0.01)], "is of no model of this service, not"),
        ("tiny@2", "tiny@0", [compared("bleu", 1, 0.01)], "is tiny@0, not tiny@1, which serves"),
        ("tiny@2", "other@1", [compared("bleu", 1, 0.01)], "is other@1, not tiny@1"),
        ("tiny@2", None, [], "baseline of the evaluation is no model of this service"),
        ("tiny@2", "tiny@1", [], "has no paired test"),
        ("tiny@2", "tiny@1", [compared("bleu", 1)], "has no paired test"),
        ("tiny@2", "tiny@1", [compared("bleu", 1, 0.01), compared("ter", 1)], "no paired test"),
    ],
)
def test_evaluation_that_does_not_tell_is_refused(of, baseline, comparison, message):
    with pytest.raises(PromotionRefused, match=message) as refused:
        check(report(of, baseline, *comparison), "tiny", "2", "1")

    assert refused.value.field == "evaluation"


def test_evaluation_of_too_few_samples_to_find_anything_worse_is_refused():
    shaky = compared("bleu", -20, 0.5, samples=1)
    message = "^a paired test of the evaluation has 1 samples, fewer than 100$"

    with pytest.raises(PromotionRefused, match=message) as refused:
        check(report("tiny@2", "tiny@1", compared("ter", -1, 0.01), shaky), "tiny", "2", "1")

    assert refused.value.limit == 100
    check(report("tiny@2", "tiny@1", compared("bleu", -1, 0.1, samples=100)), "tiny", "2", "1")
