"""What a run's best network says on dev: translations, scores by length, the worst, attention."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.tokenizer import BOS, EOS, Tokenizer
from service.evaluation import Bucket, Example, Metric, Task, analyse
from training.corpus import HeldOut, load_dev
from training.evaluate import greedy
from training.network import Network
from training.prepare import Prepared, source_prefix
from training.protocol import score_by
from training.report.inside import GateShares, measure_flow, measure_gates, read_inside
from training.run import Run
from training.trainer import load_best

SENTENCES = 1000
"""Of each direction that are translated, at most."""
WORST = 10
DRAWN = 3
"""Sentences whose attention is drawn."""
DRAWN_TOKENS = (8, 24)
"""Fewest and most tokens of these: enough to see something in, few enough to read."""
WALKED = 4
"""Sentences that layers are gone through with again, the longest of dev."""
WALKED_TOKENS = 60
"""Of each, at most: what lies further back is gone or grown long before."""


@dataclass(frozen=True, slots=True)
class Attended:
    """What each target token of a sentence attended to."""

    source: list[str]
    target: list[str]
    weights_TS: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DirectionReport:
    """A direction on dev."""

    direction: str
    text: str
    """Name of the dev text."""
    metrics: list[Metric]
    buckets: list[Bucket]
    worst: list[Example]
    attended: list[Attended]


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured with the network of a run."""

    parameters: int
    best_step: int
    minutes: float
    machine: str
    directions: list[DirectionReport]
    flow_by_layer: dict[str, list[float]]
    """Norms of dh_T/ds_t, by how many steps t lies before T."""
    gates: list[GateShares]


def measure_run(run: Run) -> Measured:
    """Translate dev with a run's best network and look into its layers.

    Raises:
        ValueError: nothing was prepared or trained.
    """
    network, position, _, machine = load_best(run)
    tokenizer = Prepared(run).tokenizer
    dev = load_dev(run, SENTENCES)
    readings = [
        reading
        for source, target in _walked(run, tokenizer, dev)
        for reading in read_inside(network, source, target)[0]
    ]
    return Measured(
        parameters=network.num_parameters,
        best_step=position.best_step,
        minutes=position.seconds / 60,
        machine=machine,
        directions=[_measure_direction(run, network, tokenizer, text) for text in dev],
        flow_by_layer=measure_flow(readings),
        gates=measure_gates(readings),
    )


def _walked(
    run: Run, tokenizer: Tokenizer, dev: Sequence[HeldOut]
) -> list[tuple[list[int], list[int]]]:
    text = dev[0]
    prefix = source_prefix(run.recipe, tokenizer, text.target)
    order = sorted(range(len(text.sources)), key=lambda i: -len(text.sources[i]))[:WALKED]
    pairs = [(text.sources[i], text.references[i]) for i in order]
    return [
        (
            [*prefix, *tokenizer.encode(source)[:WALKED_TOKENS], EOS],
            [BOS, *tokenizer.encode(target)[:WALKED_TOKENS], EOS],
        )
        for source, target in pairs
    ]


def _measure_direction(
    run: Run, network: Network, tokenizer: Tokenizer, text: HeldOut
) -> DirectionReport:
    prefix = source_prefix(run.recipe, tokenizer, text.target)
    hypotheses = greedy(network, tokenizer, text.sources, prefix)
    task = Task(
        text.sources,
        [text.references],
        hypotheses,
        None,
        text.target,
        ("bleu", "chrf"),
        resamples=0,
        examples=WORST,
    )
    analysis = analyse(task)
    return DirectionReport(
        direction=f"{text.source}-{text.target}",
        text=text.name,
        metrics=score_by(text.protocols, hypotheses, text.references, text.target),
        buckets=[each for each in analysis.buckets if each.by == "source_length"],
        worst=analysis.worst,
        attended=_attend(network, tokenizer, prefix, text, hypotheses),
    )


def _attend(
    network: Network,
    tokenizer: Tokenizer,
    prefix: Sequence[int],
    text: HeldOut,
    hypotheses: Sequence[str],
) -> list[Attended]:
    """Return the attention of a few sentences, of the network's own translations."""
    found: list[Attended] = []
    fewest, most = DRAWN_TOKENS
    for source, hypothesis in zip(text.sources, hypotheses, strict=True):
        source_ids = [*prefix, *tokenizer.encode(source), EOS]
        target_ids = [BOS, *tokenizer.encode(hypothesis), EOS]
        if not fewest <= len(source_ids) <= most or len(target_ids) > most:
            continue
        _, weights_TS = read_inside(network, source_ids, target_ids)
        pieces = tokenizer.pieces(source_ids), tokenizer.pieces(target_ids[1:])
        found.append(Attended(*pieces, weights_TS.double().numpy()))
        if len(found) == DRAWN:
            break
    return found
