"""What a bundle is worth, measured as it will be served: through the service's engine.

draft bundle + dev  --sweep--->  the default beam width and length penalty
draft bundle + dev  --measure->  what each variant costs (`gate.py`)
draft bundle + tests --measure->  the scores of its manifest and card
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from models.bundle import Direction, Score, Sweep, SweepRow, VariantName
from service.engine import ShortlistChoice, TranslationOptions, Translator, open_translator
from service.evaluation import Metric, evaluate, score
from training.corpus import HeldOut
from training.protocol import score_by

REFERENCE: VariantName = "fp32"
"""What chooses the search: its default is the same for all variants."""
TIE_BLEU = 0.05
"""Within it the smaller beam wins: a tenth of a point is noise, a beam twice as wide is not."""

RESAMPLES = 1000
"""Of the sentences, for the interval of a score; what the `sacrebleu` command does."""

OnProgress = Callable[[int], None]
"""Is told how many more sentences are done."""


@dataclass(frozen=True, slots=True)
class Search:
    """One setting of the search."""

    beam: int
    length_penalty: float


def list_searches(beams: Sequence[int], length_penalties: Sequence[float]) -> list[Search]:
    """Return what a sweep tries: every pair, but one only for greedy search.

    With a single hypothesis there is nothing that a length penalty could choose from.
    """
    return [
        Search(beam, penalty)
        for beam in sorted(set(beams))
        for penalty in sorted(set(length_penalties))
        if beam > 1 or penalty == min(length_penalties)
    ]


def sweep(
    bundle: Path, dev: Sequence[HeldOut], searches: Sequence[Search], on_progress: OnProgress
) -> Sweep:
    """Measure every setting of the search on the dev text of all directions, with fp32."""
    total_by_search = dict.fromkeys(searches, 0.0)
    for text in dev:
        with open_for(bundle, text, REFERENCE) as translator:
            for search in searches:
                hypotheses = translate(translator, text, search, on_progress)
                [bleu] = score(hypotheses, [text.references], text.target, ["bleu"])
                total_by_search[search] += bleu.score
    rows = [
        SweepRow(
            beam=search.beam,
            length_penalty=search.length_penalty,
            bleu=round(total / len(dev), 2),
        )
        for search, total in total_by_search.items()
    ]
    names = ", ".join(dict.fromkeys(text.name for text in dev))
    return Sweep(test_set=names, sentences=sum(len(text.sources) for text in dev), rows=rows)


def choose(rows: Sequence[SweepRow]) -> Search:
    """Return the best setting; of those that tie with it, the best of the smallest beam."""
    best = max(row.bleu for row in rows)
    tied = [row for row in rows if row.bleu >= best - TIE_BLEU]
    winner = min(tied, key=lambda row: (row.beam, -row.bleu))
    return Search(winner.beam, winner.length_penalty)


def measure(
    bundle: Path,
    variant: VariantName,
    texts: Sequence[HeldOut],
    searches: Sequence[Search],
    on_progress: OnProgress,
    shortlist: ShortlistChoice = "auto",
) -> list[Score]:
    """Return the scores of every text with every setting of the search, in this order."""
    scores: list[Score] = []
    for text in texts:
        with open_for(bundle, text, variant, shortlist) as translator:
            for search in searches:
                hypotheses = translate(translator, text, search, on_progress)
                parts = hypotheses, text.references, text.target
                metrics = score_by(text.protocols, *parts, RESAMPLES)
                scores += [_score(variant, text, search, metric) for metric in metrics]
    return scores


def translate(
    translator: Translator, text: HeldOut, search: Search, on_progress: OnProgress
) -> list[str]:
    """Return what a model makes of the sources of a text."""
    options = TranslationOptions(
        beam=search.beam,
        length_penalty=search.length_penalty,
        split="sentences" if text.is_split else "lines",
    )

    def count_one(_: int) -> None:
        on_progress(1)

    done = evaluate(translator, text.sources, [text.references], options, count_one, metrics=())
    return done.hypotheses


def _score(variant: VariantName, text: HeldOut, search: Search, metric: Metric) -> Score:
    return Score(
        variant=variant,
        test_set=text.name,
        direction=Direction(source=text.source, target=text.target),
        metric=metric.name,
        score=round(metric.score, 2),
        signature=metric.signature,
        interval=metric.interval and round(metric.interval, 2),
        beam=search.beam,
        length_penalty=search.length_penalty,
        sentences=len(text.sources),
    )


@contextmanager
def open_for(
    bundle: Path, text: HeldOut, variant: VariantName, shortlist: ShortlistChoice = "auto"
) -> Iterator[Translator]:
    """Give a translator of the text's direction, closed behind."""
    direction = (text.source, text.target)
    translator = open_translator(bundle, direction, variant=variant, shortlist=shortlist)
    try:
        yield translator
    finally:
        translator.close()
