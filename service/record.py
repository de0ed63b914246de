"""What became of one request inside: which models served it, and where its time went.

`RequestLog` opens a record for each request, whoever knows something notes it in the current
one, and the headers of the answer tell it. Outside of requests there is none.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

MAX_STAGES = 256
"""Of one request, that are kept; it may have thousands of sentences."""


class Stage(NamedTuple):
    """What was done for a text or a sentence, and when, as `time.monotonic` counts."""

    name: str
    began: float
    ended: float


class Record:
    """The account of one request; any thread may note something.

    Args:
        keeps_stages: whether to remember each stage, or only the longest time spent in it.
    """

    def __init__(self, *, keeps_stages: bool = False) -> None:
        self._changing = threading.Lock()
        self._models: set[str] = set()
        self._seconds = dict.fromkeys(("queue", "encode", "decode"), 0.0)
        self._has_decoded = False
        self._keeps_stages = keeps_stages
        self.stages: list[Stage] = []
        """The first of them, if they are kept."""
        self.stages_left_out = 0
        """How many there were besides."""

    @property
    def models(self) -> list[str]:
        """Names and versions of the models that served, in order."""
        return sorted(self._models)

    def note_model(self, model: str) -> None:
        """Note that a model gave an answer, if only out of the cache."""
        with self._changing:
            self._models.add(model)

    def note_sentence(self, arrived: float, admitted: float, encoded: float, done: float) -> None:
        """Note when a sentence came to wait, was taken, was encoded, and was done."""
        stages = (
            Stage("queue", arrived, admitted),
            Stage("encode", admitted, encoded),
            Stage("decode", encoded, done),
        )
        with self._changing:
            self._has_decoded = True
            for stage in stages:
                seconds = stage.ended - stage.began
                self._seconds[stage.name] = max(self._seconds[stage.name], seconds)
                self._keep(stage)

    def note_stage(self, name: str, began: float, ended: float) -> None:
        """Note when something was done for a text."""
        with self._changing:
            self._keep(Stage(name, began, ended))

    def _keep(self, stage: Stage) -> None:
        if not self._keeps_stages:
            return
        if len(self.stages) < MAX_STAGES:
            self.stages.append(stage)
        else:
            self.stages_left_out += 1

    def seconds_by_stage(self) -> dict[str, float]:
        """Return the longest time that a sentence spent in each stage; empty if none was decoded.

        The longest, for the sentences of a request wait and are decoded side by side: the sum of
        their times would exceed that of the request.
        """
        return dict(self._seconds) if self._has_decoded else {}


_current: ContextVar[Record | None] = ContextVar("record", default=None)


def current_record() -> Record | None:
    """Return the record of the request that the caller works for, if it works for one."""
    return _current.get()


@contextmanager
def recording(*, keeps_stages: bool = False) -> Iterator[Record]:
    """Make a record the current one, for tasks begun meanwhile too; see `Record`."""
    record = Record(keeps_stages=keeps_stages)
    token = _current.set(record)
    try:
        yield record
    finally:
        _current.reset(token)
