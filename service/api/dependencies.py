"""What routes are handed: the models, the limits, and whether new work is taken."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from starlette.requests import ClientDisconnect

import service.engine

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """The most that one request may ask for."""

    max_texts: int
    max_text_characters: int
    max_beam: int
    max_alternatives: int
    max_tokens: int
    max_attention_characters: int
    max_penalty: float = 10
    """Far beyond use; much further, the norm of a long sentence is no number any more."""
    max_ngram: int = 16
    """Tokens of an n-gram that may not be repeated."""
    max_deadline_seconds: float = 3600


class Intake:
    """Whether new work is taken. It closes once, when the service begins to drain."""

    def __init__(self) -> None:
        self.is_open = True

    def close(self) -> None:
        """Take no new work; what was accepted goes on."""
        self.is_open = False


async def _models(request: Request) -> service.engine.Models:
    models: service.engine.Models = request.app.state.models
    return models


async def _limits(request: Request) -> RequestLimits:
    limits: RequestLimits = request.app.state.limits
    return limits


async def _intake(request: Request) -> Intake:
    intake: Intake = request.app.state.intake
    return intake


Models = Annotated[service.engine.Models, Depends(_models)]
Limits = Annotated[RequestLimits, Depends(_limits)]
CurrentIntake = Annotated[Intake, Depends(_intake)]


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Await `work`, but cancel it as soon as the client goes away.

    Raises:
        ClientDisconnect: the client went away.
    """
    task = asyncio.create_task(work)
    departure = asyncio.create_task(_departure(request))
    try:
        await asyncio.wait({task, departure}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()
        departure.cancel()
        await asyncio.gather(task, departure, return_exceptions=True)


async def _departure(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
