"""Which version of each model serves: promotions, and the way back.

The library is told which versions are pinned, and the store keeps what was promoted. Where the
store cannot be read, a copy in the data folder says what it held; where there is neither, the
library serves what it would without promotions, and it is said so.

    store -> History -> Library.pin
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from service.engine import Library
from service.errors import InvalidRequest, PromotionRefused, StoreUnavailable
from service.evaluations import Report
from service.job_folders import write
from service.promotions.gate import check
from service.promotions.history import History, PromotionMode
from service.store import Action, PromotionRecord, PromotionTable

log = logging.getLogger(__name__)

VersionState = Literal["serving", "standby", "candidate", "refused"]

FindReport = Callable[[str, str | None], Report]

FIRST_READ_SECONDS = 5.0
"""How long the models wait for the store before they are loaded without it."""
STEP_SECONDS = 10.0
"""How often the store is read, for another server may have promoted something."""

UNREAD = "what was promoted cannot be read now"
_RECORDS = TypeAdapter(list[PromotionRecord])


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a model, and what becomes of it.

    Attributes:
        state: `candidate` is newer than what serves and has never served.
        reason: why it is refused.
    """

    version: str
    state: VersionState
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ModelVersions:
    """All versions of a model.

    Attributes:
        pinned: the version that is to serve whatever newer ones there are, if there is one.
        versions: the oldest first.
        history: what was promoted, the oldest first.
        trouble: why this may not be all, if it may not.
    """

    name: str
    serving: str | None
    pinned: str | None
    versions: list[Version]
    history: list[PromotionRecord]
    trouble: str | None


class Promotions:
    """Keeps the library in step with what was promoted.

    Args:
        copy: file that holds what the store held last.
        mode: whether a new version serves by itself or waits for an evaluation.
        find_report: returns the report of an evaluation of somebody; may raise, and block.
        first_read_seconds: how long the models wait for the store before they are loaded.
    """

    def __init__(
        self,
        library: Library,
        table: PromotionTable,
        copy: Path,
        mode: PromotionMode,
        find_report: FindReport,
        first_read_seconds: float = FIRST_READ_SECONDS,
    ) -> None:
        self._library = library
        self._table = table
        self._copy = copy
        self.mode = mode
        self._find_report = find_report
        self._first_read_seconds = first_read_seconds
        self._history = History()
        self._is_known = False
        self._trouble: str | None = None
        self._turn = asyncio.Lock()
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the library, with what was promoted, and keep it in step until closed."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Ask nothing of the library and the store any more."""
        self._stop.set()
        if self._task:
            await self._task

    async def _run(self) -> None:
        first = asyncio.create_task(self._try_to_step())
        await asyncio.wait({first}, timeout=self._first_read_seconds)
        if not first.done():
            self._tell_trouble()
        if not self._is_known:
            self._recall()
        if not self._stop.is_set():
            self._library.pin(self._history.pins(self.mode))
            self._library.start()
        while not self._stop.is_set():
            has_started = self._library.has_started
            # Soon, so that no version that comes next is taken for the first one.
            with suppress(TimeoutError):
                seconds = STEP_SECONDS if has_started else STEP_SECONDS / 100
                await asyncio.wait_for(self._stop.wait(), seconds)
            if self._library.has_started and not self._stop.is_set():
                await self._try_to_step()
        await first

    async def find(self, name: str) -> ModelVersions:
        """Return the versions of a model.

        Raises:
            UnknownModel: there is none of this name.
        """
        return await asyncio.to_thread(self._describe, name)

    async def promote(
        self, name: str, version: str, *, evaluation: str | None = None, owner: str | None = None
    ) -> ModelVersions:
        """Let a version serve, at once and from now on.

        Args:
            evaluation: the job that measured it against what serves.
            owner: whose job that is.

        Raises:
            InvalidRequest: an evaluation is needed and not named.
            NotFound: there is no such evaluation.
            NotReady: it is not done.
            PromotionRefused: it does not speak for the version.
            StoreUnavailable: the promotion cannot be kept; nothing is changed.
            UnknownModel: there is no such version.
            UnusableModel: it cannot be loaded; nothing is changed.
        """
        async with self._turn:
            await asyncio.to_thread(self._promote, name, version, evaluation, owner)
            return await self.find(name)

    async def roll_back(self, name: str) -> ModelVersions:
        """Let the version serve that did before the present one.

        Raises:
            PromotionRefused: there is none.
            StoreUnavailable: this cannot be kept; nothing is changed.
            UnknownModel: there is no such model.
            UnusableModel: that version cannot be loaded; nothing is changed.
        """
        async with self._turn:
            await asyncio.to_thread(self._roll_back, name)
            return await self.find(name)

    async def step(self) -> None:
        """Read what was promoted, and let the library serve it.

        Raises:
            StoreUnavailable: it cannot be read; what was known goes on.
        """
        async with self._turn:
            await asyncio.to_thread(self._step)

    async def _try_to_step(self) -> None:
        try:
            await self.step()
        except StoreUnavailable:
            self._tell_trouble()
        except Exception:  # the models must be started, and the next step may succeed
            log.exception("promotions cannot be kept in step")
            self._tell_trouble()

    def _tell_trouble(self) -> None:
        if self._trouble is None:
            log.warning("promotions were not read, those known last are honoured")
        self._trouble = UNREAD

    def _step(self) -> None:
        if self.mode == "newest" and not self._table.may_have_rows:
            self._is_known = True  # a service that keeps nothing opens nothing
            return
        self._read()
        self._adopt()

    def _read(self) -> None:
        history = History(self._table.read_all())
        self._trouble, is_new = None, history.records != self._history.records
        self._history, self._is_known = history, True
        if is_new:
            self._library.pin(history.pins(self.mode))
            self._keep_copy()

    def _adopt(self) -> None:
        """Remember what serves without having been promoted, for it is what comes next."""
        if self.mode == "newest":
            return
        pins, now = self._history.pins(self.mode), datetime.now(UTC)
        adopted = [
            self._history.following(name, version, None, "adopted", now)
            for name, version in self._library.serving().items()
            if name not in pins
        ]
        if adopted:
            self._table.add(adopted)
            self._read()

    def _promote(self, name: str, version: str, evaluation: str | None, owner: str | None) -> None:
        name, version = self._library.identify(name, version)
        self._read()
        serving = self._library.serving().get(name)
        action = self._action(name, version)
        if serving == version and self._is_settled(name, version, action):
            return
        if serving and serving != version:
            self._check(evaluation, owner, name, version, serving)
        record = self._history.following(name, version, serving, action, datetime.now(UTC))
        self._switch(replace(record, evaluation=evaluation))

    def _action(self, name: str, version: str) -> Action:
        if self.mode == "evaluated":
            return "promoted"
        refused = self._library.refused()
        sound = [v for v in self._library.versions(name) if f"{name}/{v}" not in refused]
        return "released" if version in sound[-1:] else "pinned"

    def _is_settled(self, name: str, version: str, action: Action) -> bool:
        pinned = self._history.pins(self.mode).get(name)
        return pinned == (None if action == "released" else version)

    def _check(
        self, evaluation: str | None, owner: str | None, name: str, version: str, serving: str
    ) -> None:
        if evaluation:
            check(self._find_report(evaluation, owner), name, version, serving)
        elif self.mode == "evaluated":
            message = (
                f"evaluation: needs the id of a job that compares {name}@{version} "
                f"with {name}@{serving}, which serves"
            )
            raise InvalidRequest(message, field="evaluation")

    def _roll_back(self, name: str) -> None:
        name, serving = self._library.identify(name)
        self._read()
        version = self._before(name, serving)
        now = datetime.now(UTC)
        self._switch(self._history.following(name, version, serving, "rolled_back", now))

    def _before(self, name: str, serving: str) -> str:
        """Return what served before; where that is not known, the next older version."""
        versions = self._library.versions(name)
        older = reversed(versions[: versions.index(serving)])
        for version in (*self._history.before(name, serving), *older):
            if version in versions:
                return version
        message = f"there is no version of the model {name} to go back to from {serving}"
        raise PromotionRefused(message)

    def _switch(self, record: PromotionRecord) -> None:
        """Let a version serve that is known to work, and keep that it does."""
        with self._library.lend(record.name, record.version, yields=False):
            if not self._table.add([record]):
                message = f"another version of the model {record.name} was promoted meanwhile"
                raise PromotionRefused(message)
            self._read()
            self._library.pin(self._history.pins(self.mode)).result()
        fields = {"version": record.version, "previous": record.previous, "action": record.action}
        log.info("model promoted", extra={"model": record.name, **fields})

    def _describe(self, name: str) -> ModelVersions:
        versions = self._library.versions(name)
        serving = self._library.serving().get(name)
        refused = self._library.refused()
        served = self._history.has_served(name)

        def describe(version: str, *, is_newer: bool) -> Version:
            if version == serving:
                return Version(version, "serving")
            if reason := refused.get(f"{name}/{version}"):
                return Version(version, "refused", reason)
            is_candidate = is_newer and version not in served
            return Version(version, "candidate" if is_candidate else "standby")

        place = versions.index(serving) if serving in versions else -1
        return ModelVersions(
            name=name,
            serving=serving,
            pinned=self._history.pins(self.mode).get(name),
            versions=[describe(each, is_newer=i > place) for i, each in enumerate(versions)],
            history=list(self._history.of(name)),
            trouble=self._trouble,
        )

    def _keep_copy(self) -> None:
        try:
            self._copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write(self._copy, _RECORDS.dump_json(list(self._history.records), indent=1))
        except OSError:
            log.warning("promotions were not copied", exc_info=True)

    def _recall(self) -> None:
        """Take what the store held last from the copy, as long as the store says nothing."""
        try:
            self._history = History(_RECORDS.validate_json(self._copy.read_bytes()))
        except FileNotFoundError:
            return
        except (OSError, ValueError):
            log.warning("copy of the promotions cannot be read", exc_info=True)
