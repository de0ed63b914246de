"""The gate of the variants: what is smaller and faster must translate as well as fp32.

    scores of fp32 on dev ----+
                              +--weigh--> cost --check_cost--> published with its figures,
    scores of a variant ------+                                or refused

Shortlists are weighed in the same way, beside the same variant without them.

A loss is the mean over the directions, for every setting of the search by itself. Means are
over many sentences and both sides translate the same ones, so what one sentence gains or
loses by chance weighs little; the measured figures stand in the manifest either way.
"""

from collections.abc import Sequence
from statistics import fmean

from models.bundle import Cost, CostRow, Score, VariantName
from training.measurements import Search

BLEU = "BLEU"
"""The metric that decides, as sacreBLEU names it; the others are stated only."""
EXACT_DIGITS = 6
"""Losses are sums of figures with two decimals; beyond this they hold rounding errors only."""


def weigh(scores: Sequence[Score], reference: Sequence[Score]) -> Cost:
    """Put what a variant scored beside what fp32 did, in the same order."""
    rows = [
        CostRow(
            direction=mine.direction,
            metric=mine.metric,
            signature=mine.signature,
            beam=mine.beam,
            length_penalty=mine.length_penalty,
            score=mine.score,
            reference=theirs.score,
        )
        for mine, theirs in zip(scores, reference, strict=True)
    ]
    sentences = {(score.direction, score.test_set): score.sentences for score in scores}
    return Cost(
        test_set=", ".join(dict.fromkeys(score.test_set for score in scores)),
        sentences=sum(sentences.values()),
        rows=rows,
    )


def mean_bleu(cost: Cost) -> dict[Search, tuple[float, float]]:
    """Return the BLEU of the variant and of fp32, each the mean of the directions, by search."""
    rows_by_search: dict[Search, list[CostRow]] = {}
    for row in cost.rows:
        if row.metric == BLEU:
            rows_by_search.setdefault(Search(row.beam, row.length_penalty), []).append(row)
    return {
        search: (fmean(row.score for row in rows), fmean(row.reference for row in rows))
        for search, rows in rows_by_search.items()
    }


def check_cost(name: VariantName, cost: Cost, max_bleu_loss: float) -> None:
    """Let a variant pass that loses no more than it may.

    Raises:
        ValueError: it loses more; the message names the figures and what can be done.
    """
    _check(cost, max_bleu_loss, (name, "fp32"), f"Leave {name} out of export.variants")


def check_shortlist_cost(name: VariantName, cost: Cost, max_bleu_loss: float) -> None:
    """Let shortlists pass that lose no more than they may beside the same variant without them.

    Raises:
        ValueError: they lose more; the message names the figures and what can be done.
    """
    remedy = "Raise export.shortlist.likeliest, or leave export.shortlist out"
    _check(cost, max_bleu_loss, (f"{name} with shortlists", without(name)), remedy)


def describe_cost(cost: Cost, reference: str = "fp32") -> str:
    """Return what a variant loses, in the words of the export's report."""
    return ", ".join(
        f"{score:.2f} BLEU with beam {search.beam} where {reference} has {compared:.2f}"
        for search, (score, compared) in mean_bleu(cost).items()
    )


def without(name: VariantName) -> str:
    """Return what shortlists are weighed against, in words."""
    return f"{name} without"


def _check(cost: Cost, max_bleu_loss: float, names: tuple[str, str], remedy: str) -> None:
    for search, (score, reference) in mean_bleu(cost).items():
        loss = round(reference - score, EXACT_DIGITS)
        if loss > max_bleu_loss:
            raise ValueError(
                f"{names[0]} scores {score:.2f} BLEU on {cost.test_set} with beam {search.beam} "
                f"where {names[1]} scores {reference:.2f}: it loses {loss:.2f}, "
                f"export.max_bleu_loss is {max_bleu_loss:g}; nothing is published. {remedy}"
            )
