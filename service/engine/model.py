"""A model: one bundle that is loaded, run once and ready to translate.

    bundle -> sessions -> scheduler -> a translator for each direction

It is made whole or not at all: who holds a `Model` need not ask whether it works.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic

from models.bundle import Bundle, Direction, Score
from models.tokenizer import EOS, Tokenizer
from service import metrics
from service.engine.batches import batch_maker
from service.engine.cache import Cache
from service.engine.device import DeviceChoice, Mode, choose_device, default_workers
from service.engine.hypothesis import SearchOptions
from service.engine.policy import Policy
from service.engine.scheduler import Scheduler
from service.engine.sessions import Sessions, ShortlistChoice, VariantChoice
from service.engine.translator import Translator
from service.errors import UnsupportedPair

log = logging.getLogger(__name__)

# A step takes milliseconds; one that takes this long will not end.
_STALL_SECONDS = 60.0
# Enough steps for all that is set up at the first one or the second.
_WARM_UP_TOKENS = 4


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How models are run, all of them alike."""

    device: DeviceChoice = "auto"
    """What to run on; `auto` is CUDA if it can be had."""
    variant: VariantChoice = "auto"
    """Which rendering of the network to run; `auto` is the fastest on the device."""
    shortlist: ShortlistChoice = "auto"
    """Whether sentences choose among the tokens that may translate their source; `auto` is where
    a variant has shortlists."""
    mode: Mode = "throughput"
    """Whether cores decode apart, or all of them together so that a sentence is done sooner."""
    max_rows: int = 64
    """Rows that one worker decodes together."""
    max_waiting_tokens: int = 32_768
    """Source tokens that may wait at a model before texts are refused."""
    max_wait_seconds: float = 4.0
    """Longest predicted wait at which interactive texts are accepted."""
    cache_sentences: int = 0
    """Decoded sentences of each model that are remembered; 0 turns it off."""
    workers: int | None = None
    """Decoding threads of a model; None means as many as the device can use."""


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What is told of a model."""

    name: str
    version: str
    directions: list[Direction]
    variant: str
    """Which rendering of the network runs, such as fp32."""
    provider: str
    """What of ONNX Runtime runs it."""
    parameters: int
    scores: list[Score]
    card: str = field(default="", repr=False)
    """The model card, Markdown."""
    sha256: str = ""
    """Of the manifest, which names all files of the bundle with theirs."""

    @property
    def identity(self) -> str:
        """Name and version, as logs and replies show them."""
        return f"{self.name}/{self.version}"


class Model:
    """A loaded bundle. Whoever opened it closes it, when nobody uses its translators any more."""

    def __init__(
        self,
        folder: Path,
        description: ModelDescription,
        translators: Sequence[Translator],
        scheduler: Scheduler,
    ) -> None:
        self.folder = folder
        """Where the bundle lay; it is not needed any more."""
        self.description = description
        self.translators = tuple(translators)
        """One for each direction."""
        self.yields = False
        """Whether its threads yield to those of other models."""
        self._scheduler = scheduler

    @property
    def name(self) -> str:
        """Name that it goes by in the folder of bundles."""
        return self.folder.parent.name

    @property
    def key(self) -> tuple[str, str]:
        """Name and version that it goes by in the folder of bundles."""
        return self.name, self.folder.name

    @property
    def identity(self) -> str:
        """Name and version of the bundle."""
        return self.description.identity

    @property
    def is_alive(self) -> bool:
        """Whether every decoding thread runs and none is stuck."""
        return self._scheduler.is_alive and self._scheduler.stalled_seconds < _STALL_SECONDS

    def close(self, timeout_seconds: float | None = None) -> None:
        """Finish what was accepted, then stop; what is not done in time fails."""
        self._scheduler.close(timeout_seconds)


def open_model(bundle: Bundle, options: EngineOptions) -> Model:
    """Load a bundle and run it, greedy and with its own beam.

    So the first caller does not pay for what is set up lazily, and a bundle that does not
    work is found out before anybody depends on it.

    Raises:
        CannotRun: the device cannot be had, or does not run the variant.
        DamagedBundle: its tokenizer or its shortlists are not what the manifest describes.
        ModelFailure: it was loaded, but does not decode.
    """
    began = monotonic()
    device = choose_device(options.device)
    sessions = Sessions(
        bundle,
        device=device,
        variant=options.variant,
        shortlist=options.shortlist,
        latency=options.mode == "latency",
    )
    tokenizer, scheduler = bundle.tokenizer(), _schedule(bundle, sessions, options)
    try:
        _warm_up(scheduler, bundle, options.max_rows)
    except BaseException:
        scheduler.close(timeout_seconds=0)
        raise
    metrics.MODEL_INFO.labels(bundle.identity, sessions.variant, sessions.provider).set(1)
    listed = sessions.shortlists is not None
    fields = {"variant": sessions.variant, "shortlists": listed, "provider": sessions.provider}
    seconds = round(monotonic() - began, 3)
    log.info("model loaded", extra={"model": bundle.identity, **fields, "seconds": seconds})
    kept = options.cache_sentences
    cache = Cache(scheduler, kept, bundle.identity) if kept else None
    translators = _translators(bundle, tokenizer, scheduler, cache)
    return Model(bundle.path, _describe(bundle, sessions), translators, scheduler)


def open_translator(
    bundle: Path,
    direction: tuple[str, str],
    *,
    variant: VariantChoice = "auto",
    shortlist: ShortlistChoice = "auto",
    options: EngineOptions = EngineOptions(device="cpu", max_waiting_tokens=65_536),
) -> Translator:
    """Load one bundle, a draft included, for one of its directions.

    The caller closes it.

    Args:
        variant: which rendering of the network to run, whatever the options say.
        shortlist: whether with shortlists, whatever the options say.

    Raises:
        CannotRun: the device cannot be had, or does not run the variant.
        DamagedBundle: the bundle cannot be trusted.
        ModelFailure: it was loaded, but does not decode.
        UnsupportedPair: the bundle has no such direction.
    """
    opened = Bundle.open(bundle)
    if Direction(source=direction[0], target=direction[1]) not in opened.manifest.directions:
        raise UnsupportedPair(f"{direction[0]}-{direction[1]} is not served")
    model = open_model(opened, replace(options, variant=variant, shortlist=shortlist))
    return next(each for each in model.translators if (each.source, each.target) == direction)


def _schedule(bundle: Bundle, sessions: Sessions, options: EngineOptions) -> Scheduler:
    return Scheduler(
        batch_maker(sessions),
        workers=options.workers or default_workers(sessions.device, options.mode),
        max_rows=options.max_rows,
        max_waiting_tokens=options.max_waiting_tokens,
        model=bundle.identity,
        policy=Policy(max_wait_seconds=options.max_wait_seconds),
    )


def _warm_up(scheduler: Scheduler, bundle: Bundle, max_rows: int) -> None:
    # Through the scheduler: what a device sets up for a thread must be set up for that one.
    defaults = bundle.manifest.decoding
    longest = [EOS] * defaults.max_source_tokens
    for beam in sorted({1, min(defaults.beam, max_rows)}):
        options = SearchOptions(beam, defaults.length_penalty, _WARM_UP_TOKENS)
        # The longest too, or else the memory it takes would first be asked for under load.
        for future in scheduler.submit([[EOS], longest], [options, options]):
            future.result()
    scheduler.forget_speed()


def _translators(
    bundle: Bundle, tokenizer: Tokenizer, scheduler: Scheduler, cache: Cache | None
) -> list[Translator]:
    manifest = bundle.manifest
    calibrations = {each.direction: each for each in manifest.calibrations}
    return [
        Translator(
            source=each.source,
            target=each.target,
            model=bundle.identity,
            defaults=manifest.decoding,
            tokenizer=tokenizer,
            scheduler=scheduler,
            tag=manifest.target_tags.get(each.target),
            calibration=calibrations.get(each),
            cache=cache,
        )
        for each in manifest.directions
    ]


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
        sha256=bundle.sha256,
        card=bundle.file(manifest.card).read_text(encoding="utf-8"),
    )
