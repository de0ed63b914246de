"""What became of one request inside: which models served it, and where its time went.

`RequestLog` opens a record for each request, whoever knows something notes it in the current
one, and the headers of the answer tell it. Outside of requests there is none.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Record:
    """The account of one request; any thread may note something."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._models: set[str] = set()
        self._seconds = dict.fromkeys(("queue", "encode", "decode"), 0.0)
        self._has_decoded = False

    @property
    def models(self) -> list[str]:
        """Names and versions of the models that served, in order."""
        return sorted(self._models)

    def note_model(self, model: str) -> None:
        """Note that a model gave an answer, if only out of the cache."""
        with self._changing:
            self._models.add(model)

    def note_sentence(self, *, queue: float, encode: float, decode: float) -> None:
        """Note how many seconds a sentence waited and was worked on."""
        with self._changing:
            self._has_decoded = True
            for stage, seconds in (("queue", queue), ("encode", encode), ("decode", decode)):
                self._seconds[stage] = max(self._seconds[stage], seconds)

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
def recording() -> Iterator[Record]:
    """Make a record the current one, for tasks begun meanwhile too."""
    record = Record()
    token = _current.set(record)
    try:
        yield record
    finally:
        _current.reset(token)
