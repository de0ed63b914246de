"""How far a sentence can be trusted: what the search says of it, and how often that was right.

    dev, even lines --engine--> probability, length, good or not --fit--> a logistic model
    dev, odd lines  --engine-------------------------------------------> what it is worth

A sentence is *good* if its chrF beside the reference is at least `GOOD_CHRF`: a definition, not an
opinion. With one reference, chrF of a sound translation lies between 50 and 100, and of one that
has gone astray below 40.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.bundle import Calibration, Direction, VariantName
from service.engine import TranslationOptions
from service.evaluation import score_sentences
from training.corpus import HeldOut
from training.measurements import OnProgress, Search, open_for

GOOD_CHRF = 50.0
"""At this chrF a dev sentence counts as good."""
MIN_SENTENCES = 100
"""Of each half; fewer tell nothing of three parameters."""
BINS = 10
"""Of as many sentences each, for the calibration error."""
RIDGE = 1e-2
"""Keeps the weights finite where the two kinds of sentences can be told apart without an error."""
MAX_ITERATIONS = 50

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Observations:
    """Sentences that were translated, one place in each array."""

    probability: Vector
    """Geometric mean of the tokens' probabilities."""
    log_length: Vector
    """Logarithm of the number of target tokens."""
    is_good: Vector
    """1 or 0."""

    def __len__(self) -> int:
        return len(self.is_good)

    def __getitem__(self, places: slice) -> "Observations":
        parts = self.probability, self.log_length, self.is_good
        return Observations(*(part[places] for part in parts))


def calibrate(
    bundle: Path,
    variant: VariantName,
    dev: Sequence[HeldOut],
    search: Search,
    on_progress: OnProgress,
) -> list[Calibration]:
    """Return a calibration of each direction whose dev text is large enough and that helps.

    One helps if its Brier score on the held-out half is better than that of always saying how many
    sentences are good.
    """
    found = []
    for text in dev:
        observed = observe(bundle, variant, text, search, on_progress)
        seen, held_out = observed[0::2], observed[1::2]
        if len(held_out) < MIN_SENTENCES:
            continue
        calibration = fit(seen, held_out, text, variant)
        if calibration.brier < calibration.brier_of_share:
            found.append(calibration)
    return found


def observe(
    bundle: Path,
    variant: VariantName,
    text: HeldOut,
    search: Search,
    on_progress: OnProgress,
) -> Observations:
    """Translate a text and see which sentences are good; lines of several sentences are left out.

    Of those no reference is known that belongs to one of them alone.
    """
    options = TranslationOptions(beam=search.beam, length_penalty=search.length_penalty)
    told: list[tuple[float, float]] = []
    hypotheses: list[str] = []
    references: list[str] = []
    with open_for(bundle, text, variant) as translator:
        translations = translator.translate_all(text.sources, options)
        for translation, reference in zip(translations, text.references, strict=True):
            on_progress(1)
            if len(translation.sentences) == 1:
                [sentence] = translation.sentences
                mean = sentence.log_probability / sentence.num_tokens
                told.append((math.exp(mean), math.log(sentence.num_tokens)))
                hypotheses.append(translation.text)
                references.append(reference)
    scores = score_sentences(hypotheses, references, text.target, "chrf")
    features = np.array(told, np.float64).reshape(-1, 2)
    is_good = (np.array(scores) >= GOOD_CHRF).astype(np.float64)
    return Observations(features[:, 0], features[:, 1], is_good)


def fit(
    seen: Observations, held_out: Observations, text: HeldOut, variant: VariantName
) -> Calibration:
    """Return the calibration that fits what was seen, with what it is worth on other sentences."""
    bias, of_probability, of_length = (float(f"{weight:.6g}") for weight in _weights(seen))
    logits = bias + of_probability * held_out.probability + of_length * held_out.log_length
    confidence = 1 / (1 + np.exp(-logits))
    share = float(held_out.is_good.mean())
    return Calibration(
        direction=Direction(source=text.source, target=text.target),
        variant=variant,
        metric="chrF2",
        good_from=GOOD_CHRF,
        bias=bias,
        probability_weight=of_probability,
        length_weight=of_length,
        test_set=text.name,
        sentences=len(seen),
        held_out_sentences=len(held_out),
        share=round(share, 4),
        brier=round(float(((confidence - held_out.is_good) ** 2).mean()), 4),
        brier_of_share=round(share * (1 - share), 4),
        calibration_error=round(calibration_error(confidence, held_out.is_good), 4),
    )


def calibration_error(confidence: Vector, is_good: Vector) -> float:
    """Return how far confidence is from the share of good sentences, in the mean of ten bins.

    Source: Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning",
    ECE, with as many sentences in each bin.
    """
    bins = np.array_split(np.argsort(confidence, kind="stable"), BINS)
    gaps = [abs(confidence[i].sum() - is_good[i].sum()) for i in bins]
    return float(sum(gaps) / len(confidence))


def _weights(seen: Observations) -> Vector:
    """Return the weights of a logistic regression, by Newton's method."""
    ones = np.ones(len(seen))
    features = np.stack([ones, seen.probability, seen.log_length], axis=1)
    weights = np.zeros(features.shape[1])
    for _ in range(MAX_ITERATIONS):
        expected = 1 / (1 + np.exp(-features @ weights))
        slope = features.T @ (expected - seen.is_good) + RIDGE * weights
        curve = (features.T * (expected * (1 - expected))) @ features
        change = np.linalg.solve(curve + RIDGE * np.eye(len(weights)), slope)
        weights -= change
        if np.abs(change).max() < 1e-9:
            break
    return weights
