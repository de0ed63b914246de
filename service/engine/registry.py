"""The models that serve together, found by language pair."""

import logging
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from statistics import fmean
from time import monotonic
from typing import Self

from models.bundle import Bundle, find_bundles
from service.engine.detector import Detection, Detector
from service.engine.languages import closest, is_same_language
from service.engine.model import EngineOptions, Model, ModelDescription, open_model
from service.engine.pivot import PivotTranslator
from service.engine.translator import Translator
from service.errors import UnsupportedPair

log = logging.getLogger(__name__)

AnyTranslator = Translator | PivotTranslator
Pair = tuple[str, str]

_METRIC = "chrF2"
_USUAL_PIVOT = "en"


class Models:
    """Loaded models, which never change: whoever wants others makes another `Models`."""

    def __init__(self, loaded: Sequence[Model], detector: Detector | None = None) -> None:
        self.loaded = tuple(loaded)
        """Of two that serve a pair, the first does."""
        translators = [translator for model in loaded for translator in model.translators]
        self._translators_by_pair = _by_pair(translators)
        self._pivots_by_pair = _pivots(self._translators_by_pair, _quality(self.loaded))
        sources = {each.source for each in translators}
        self.detector = detector.adapted_to(sources) if detector else Detector(sources)

    @classmethod
    def open(cls, root: Path, options: EngineOptions = EngineOptions()) -> Self:
        """Load the newest version of every bundle under `root`; `close` ends them.

        Raises:
            CannotRun: the device cannot be had, or does not run the variant.
            DamagedBundle: a bundle cannot be trusted.
            FileNotFoundError: there is no bundle under `root`.
            ModelFailure: a model was loaded, but does not decode.
        """
        # In ascending order of versions, so the last one of each name stays.
        newest = {path.parent.name: path for path in find_bundles(root)}
        if not newest:
            raise FileNotFoundError(f"there is no bundle under {root}")
        loaded: list[Model] = []
        try:
            for path in newest.values():
                loaded.append(open_model(Bundle.open(path), options))  # noqa: PERF401
        except BaseException:
            for model in loaded:
                model.close()
            raise
        return cls(loaded)

    def find(self, source: str, target: str) -> AnyTranslator:
        """Return the translator of a pair, given as BCP-47 tags however they are written.

        A tag that is not served as it stands is served by the nearest of its language and script:
        `en-US` by `en`. Where no model translates between two languages, two in a row do.

        Raises:
            UnsupportedPair: nothing translates between these languages.
        """
        pairs = self._translators_by_pair
        sources = closest(source, {known for known, _ in pairs})
        targets = closest(target, {known for _, known in pairs})
        wanted = [(one, other) for one in sources for other in targets]
        for found in (pairs, self._pivots_by_pair):
            for pair in wanted:
                if pair in found:
                    return found[pair]
        field = "target" if sources else "source"
        raise UnsupportedPair(f"{source}-{target} is not served", field=field)

    def languages(self) -> dict[str, list[str]]:
        """Return the targets by source, those through a third language too."""
        targets_by_source: dict[str, list[str]] = {}
        for source, target in [*self._translators_by_pair, *self._pivots_by_pair]:
            targets_by_source.setdefault(source, []).append(target)
        return {source: sorted(targets_by_source[source]) for source in sorted(targets_by_source)}

    def pivots(self) -> dict[tuple[str, str], str]:
        """Return the third language of each pair that no model translates directly."""
        return {pair: each.pivot for pair, each in self._pivots_by_pair.items()}

    def describe(self) -> list[ModelDescription]:
        """Describe the models, by name."""
        return [model.description for model in self.loaded]

    def detect(self, text: str) -> Detection:
        """Tell which of the served source languages a text is in."""
        return self.detector.detect(text)

    def detect_all(self, text: str, most: int) -> list[Detection]:
        """Return the likeliest of the served source languages of a text, the best first."""
        return self.detector.detect_all(text, most)

    def close(self, timeout_seconds: float | None = None) -> None:
        """Finish what was accepted, then stop; what is not done in time fails."""
        close_all(self.loaded, timeout_seconds)


def close_all(models: Sequence[Model], timeout_seconds: float | None) -> None:
    """Close models, all of them within the given time."""
    deadline = None if timeout_seconds is None else monotonic() + timeout_seconds
    for model in models:
        model.close(None if deadline is None else max(0.0, deadline - monotonic()))


def _by_pair(translators: Sequence[Translator]) -> dict[Pair, Translator]:
    found: dict[Pair, Translator] = {}
    for each in translators:
        pair = each.source, each.target
        first = found.setdefault(pair, each)
        if first is not each:
            extra = {"pair": "-".join(pair), "model": first.model, "other": each.model}
            log.warning("two models serve the same pair", extra=extra)
    return found


def _quality(loaded: Sequence[Model]) -> dict[Pair, float]:
    """Return the mean chrF2 of each direction, as far as the bundles tell."""
    scores: dict[Pair, list[float]] = {}
    for model in loaded:
        for score in model.description.scores:
            if score.metric == _METRIC:
                pair = score.direction.source, score.direction.target
                scores.setdefault(pair, []).append(score.score)
    return {pair: fmean(found) for pair, found in scores.items()}


def _pivots(
    direct: Mapping[Pair, Translator], quality: Mapping[Pair, float]
) -> dict[Pair, PivotTranslator]:
    """Return two translators in a row for each pair that has none of its own.

    Of several third languages it is the one whose worse half is the best by chrF2; where that is
    not known, English, and else the first in the alphabet.
    """
    found: dict[Pair, PivotTranslator] = {}
    sources, targets = {source for source, _ in direct}, {target for _, target in direct}
    for source, target in product(sorted(sources), sorted(targets)):
        if (source, target) in direct or is_same_language(source, target):
            continue
        between = [
            each
            for each in sorted(sources & targets)
            if (source, each) in direct and (each, target) in direct
        ]
        if between:

            def worth(each: str, ends: Pair = (source, target)) -> tuple[float, bool]:
                halves = (ends[0], each), (each, ends[1])
                return min(quality.get(half, 0.0) for half in halves), each == _USUAL_PIVOT

            best = max(between, key=worth)
            found[source, target] = PivotTranslator(direct[source, best], direct[best, target])
    return found
