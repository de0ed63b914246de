"""The models that are loaded, found by language pair."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Self

import numpy as np

from models.bundle import Bundle, Direction, Score, find_bundles
from models.tokenizer import BOS, EOS
from service import metrics
from service.engine.detector import Detection, Detector
from service.engine.onnx_batch import OnnxBatch
from service.engine.policy import Policy
from service.engine.scheduler import Scheduler
from service.engine.sessions import Sessions
from service.engine.translator import Translator
from service.errors import UnsupportedPair

log = logging.getLogger(__name__)

# A step takes milliseconds; one that takes this long will not end.
_STALL_SECONDS = 60.0
_POLICY = Policy()


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What is told of a loaded bundle."""

    name: str
    version: str
    directions: list[Direction]
    variant: str
    """Which rendering of the network runs, such as fp32."""
    provider: str
    """What of ONNX Runtime runs it."""
    parameters: int
    scores: list[Score]


class Models:
    """All loaded models. `open` loads them, `close` lets them finish."""

    def __init__(
        self, translators: Sequence[Translator], descriptions: Sequence[ModelDescription]
    ) -> None:
        self._translators_by_pair = _by_pair(translators)
        self._schedulers = list(
            {id(each.scheduler): each.scheduler for each in translators}.values()
        )
        self._descriptions = list(descriptions)
        self._detector = Detector(each.source for each in translators)
        self._is_closed = False

    @classmethod
    def open(
        cls,
        root: Path,
        *,
        max_rows: int = 64,
        max_waiting_tokens: int = 32_768,
        max_wait_seconds: float = 4.0,
        workers: int | None = None,
    ) -> Self:
        """Load the newest version of every bundle under `root`, and run each once.

        Args:
            max_rows: rows that one worker decodes together.
            max_waiting_tokens: source tokens that may wait at a model before texts are refused.
            max_wait_seconds: longest predicted wait at which interactive texts are accepted.
            workers: decoding threads of a model; by default one for each CPU core.

        Raises:
            DamagedBundle: a bundle cannot be trusted.
            FileNotFoundError: there is no bundle under `root`.
        """
        # In ascending order of versions, so the last one of each name stays.
        newest = {path.parent.name: path for path in find_bundles(root)}
        if not newest:
            raise FileNotFoundError(f"there is no bundle under {root}")
        start = partial(
            _start,
            max_rows=max_rows,
            max_waiting_tokens=max_waiting_tokens,
            policy=Policy(max_wait_seconds=max_wait_seconds),
            workers=workers,
        )
        translators: list[Translator] = []
        descriptions: list[ModelDescription] = []
        try:
            for path in newest.values():
                mine, description = start(Bundle.open(path))
                translators += mine
                descriptions.append(description)
        except BaseException:
            for each in translators:
                each.close()
            raise
        return cls(translators, descriptions)

    @property
    def is_ready(self) -> bool:
        """Whether texts are accepted."""
        return not self._is_closed and self.is_alive

    @property
    def is_alive(self) -> bool:
        """Whether every decoding thread runs and none is stuck."""
        if self._is_closed:
            return True
        return all(
            each.is_alive and each.stalled_seconds < _STALL_SECONDS for each in self._schedulers
        )

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
        """Describe the loaded bundles, by name."""
        return list(self._descriptions)

    def detect(self, text: str) -> Detection:
        """Tell which of the served source languages a text is in."""
        return self._detector.detect(text)

    def close(self, timeout_seconds: float | None = None) -> None:
        """Finish what was accepted, then stop; what is not done in time fails."""
        self._is_closed = True
        deadline = None if timeout_seconds is None else monotonic() + timeout_seconds
        for each in self._schedulers:
            each.close(None if deadline is None else max(0.0, deadline - monotonic()))


def open_translator(
    bundle: Path,
    direction: tuple[str, str],
    *,
    max_rows: int = 64,
    max_waiting_tokens: int = 65_536,
    workers: int | None = None,
) -> Translator:
    """Load one bundle, a draft included, for one of its directions.

    The caller closes it.

    Raises:
        DamagedBundle: the bundle cannot be trusted.
        UnsupportedPair: the bundle has no such direction.
    """
    opened = Bundle.open(bundle)
    if Direction(source=direction[0], target=direction[1]) not in opened.manifest.directions:
        raise UnsupportedPair(f"{direction[0]}-{direction[1]} is not served")
    translators, _ = _start(
        opened, max_rows=max_rows, max_waiting_tokens=max_waiting_tokens, workers=workers
    )
    return next(each for each in translators if (each.source, each.target) == direction)


def _start(
    bundle: Bundle,
    *,
    max_rows: int,
    max_waiting_tokens: int,
    workers: int | None,
    policy: Policy = _POLICY,
) -> tuple[list[Translator], ModelDescription]:
    began = monotonic()
    manifest, tokenizer, sessions = bundle.manifest, bundle.tokenizer(), Sessions(bundle)
    _warm_up(sessions)
    num_workers = workers or len(os.sched_getaffinity(0))
    scheduler = Scheduler(
        partial(OnnxBatch, sessions),
        workers=num_workers,
        max_rows=max_rows,
        max_waiting_tokens=max_waiting_tokens,
        model=bundle.identity,
        policy=policy,
    )
    translators = [
        Translator(
            source=each.source,
            target=each.target,
            model=bundle.identity,
            defaults=manifest.decoding,
            tokenizer=tokenizer,
            scheduler=scheduler,
            tag=manifest.target_tags.get(each.target),
        )
        for each in manifest.directions
    ]
    metrics.MODEL_INFO.labels(bundle.identity, sessions.variant, sessions.provider).set(1)
    seconds = round(monotonic() - began, 3)
    log.info("model loaded", extra={"model": bundle.identity, "seconds": seconds})
    return translators, _describe(bundle, sessions)


def _warm_up(sessions: Sessions) -> None:
    """Run both graphs, so that the first caller does not pay for what is set up lazily."""
    batch = OnnxBatch(sessions, width=1)
    batch.admit([[EOS], [EOS, EOS]])
    batch.step(np.array([[0], [1]]), np.array([[BOS], [BOS]]), 2)


def _describe(bundle: Bundle, sessions: Sessions) -> ModelDescription:
    manifest = bundle.manifest
    return ModelDescription(
        name=manifest.name,
        version=str(manifest.version),
        directions=manifest.directions,
        variant=sessions.variant,
        provider=sessions.provider,
        parameters=manifest.architecture.parameters,
        scores=manifest.scores,
    )


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
