"""Server-sent events that tell how far a job is, for all kinds of jobs.

progress   whenever there is some; the data is what a request for the job answers
end        it is over; the same
error      what went wrong: it was deleted, or the service ends; the end
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeVar

from fastapi import Request
from fastapi.sse import ServerSentEvent
from pydantic import BaseModel

from service.api.dependencies import Intake
from service.api.dialect import refused
from service.api.failure import FailureBody, describe
from service.errors import Overloaded
from service.jobs import UNDER_WAY, JobState

LOOK_SECONDS = 0.3
"""How often one looks for those who are told of progress."""


class Progressing(Protocol):
    """A job of any kind, as it was when it was looked at."""

    @property
    def state(self) -> JobState:
        """What becomes of it."""

    @property
    def done(self) -> int:
        """How much of it is done."""


J = TypeVar("J", bound=Progressing)


async def follow(
    request: Request,
    intake: Intake,
    first: J,
    find: Callable[[], Awaitable[J]],
    body: Callable[[J], BaseModel],
) -> AsyncIterator[ServerSentEvent]:
    """Yield the events of a job until it is over, or the service begins to end.

    Args:
        first: the job as it was found: what is not there is answered by its status, before this.
        find: looks at it again; what it raises becomes the last event.
        body: what to tell of it.
    """
    try:
        job, told = first, None
        while job.state in UNDER_WAY:
            if not intake.is_open:  # whether there is progress or not: a stream delays the end
                raise Overloaded("the service is shutting down")  # noqa: TRY301  # told as an event
            if (job.state, job.done) != told:
                yield _event("progress", body(job))
                told = job.state, job.done
            await asyncio.sleep(LOOK_SECONDS)
            job = await find()
        yield _event("end", body(job))
    except Exception as error:  # noqa: BLE001  # the status has been sent, so it is an event
        yield _event("error", FailureBody(error=describe(request, refused(request, error))))


def _event(name: str, body: BaseModel) -> ServerSentEvent:
    return ServerSentEvent(event=name, raw_data=body.model_dump_json())
