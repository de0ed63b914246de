"""The models that serve together, found by language pair."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Self

from models.bundle import Bundle, find_bundles
from service.engine.detector import Detection, Detector
from service.engine.model import EngineOptions, Model, ModelDescription, open_model
from service.engine.translator import Translator
from service.errors import UnsupportedPair

log = logging.getLogger(__name__)


class Models:
    """Loaded models, which never change: whoever wants others makes another `Models`."""

    def __init__(self, loaded: Sequence[Model], detector: Detector | None = None) -> None:
        self.loaded = tuple(loaded)
        """Of two that serve a pair, the first does."""
        translators = [translator for model in loaded for translator in model.translators]
        self._translators_by_pair = _by_pair(translators)
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

    def find(self, source: str, target: str) -> Translator:
        """Return the translator of a pair, given as BCP-47 tags in any case.

        A tag that is not served as it stands falls back to its language: `en-US` to `en`.

        Raises:
            UnsupportedPair: no model translates between these languages.
        """
        for source_tag in _fallbacks(source):
            for target_tag in _fallbacks(target):
                if found := self._translators_by_pair.get((source_tag, target_tag)):
                    return found
        sources = {_base(known) for known, _ in self._translators_by_pair}
        field = "target" if _base(_spelled(source)) in sources else "source"
        raise UnsupportedPair(f"{source}-{target} is not served", field=field)

    def languages(self) -> dict[str, list[str]]:
        """Return the targets by source."""
        targets_by_source: dict[str, list[str]] = {}
        for each in self._translators_by_pair.values():
            targets_by_source.setdefault(each.source, []).append(each.target)
        return {source: sorted(targets_by_source[source]) for source in sorted(targets_by_source)}

    def describe(self) -> list[ModelDescription]:
        """Describe the models, by name."""
        return [model.description for model in self.loaded]

    def detect(self, text: str) -> Detection:
        """Tell which of the served source languages a text is in."""
        return self.detector.detect(text)

    def close(self, timeout_seconds: float | None = None) -> None:
        """Finish what was accepted, then stop; what is not done in time fails."""
        close_all(self.loaded, timeout_seconds)


def close_all(models: Sequence[Model], timeout_seconds: float | None) -> None:
    """Close models, all of them within the given time."""
    deadline = None if timeout_seconds is None else monotonic() + timeout_seconds
    for model in models:
        model.close(None if deadline is None else max(0.0, deadline - monotonic()))


def is_same_language(one: str, other: str) -> bool:
    """Whether two BCP-47 tags name one language, whatever their regions and case."""
    return _base(_spelled(one)) == _base(_spelled(other))


def _by_pair(translators: Sequence[Translator]) -> Mapping[tuple[str, str], Translator]:
    found: dict[tuple[str, str], Translator] = {}
    for each in translators:
        pair = _spelled(each.source), _spelled(each.target)
        first = found.setdefault(pair, each)
        if first is not each:
            extra = {"pair": "-".join(pair), "model": first.model, "other": each.model}
            log.warning("two models serve the same pair", extra=extra)
    return found


def _spelled(language: str) -> str:
    return language.replace("_", "-").lower()


def _base(language: str) -> str:
    return language.partition("-")[0]


def _fallbacks(language: str) -> list[str]:
    spelled = _spelled(language)
    return list(dict.fromkeys([spelled, _base(spelled)]))
