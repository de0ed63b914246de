"""What routes are handed: the models, the limits, and whether new work is taken."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from starlette.requests import ClientDisconnect

import service.batches
import service.documents
import service.engine
import service.evaluations
import service.glossaries
import service.promotions
from service.access import Access, Caller
from service.errors import Overloaded
from service.scopes import KeyScope
from service.suggestions import Suggestions

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """The most that one request may ask for."""

    max_texts: int
    max_text_characters: int
    max_characters: int
    max_beam: int
    max_alternatives: int
    max_tokens: int
    max_attention_characters: int
    max_penalty: float = 10
    """Far beyond use; much further, the norm of a long sentence is no number any more."""
    max_ngram: int = 16
    """Tokens of an n-gram that may not be repeated."""
    max_timeout_seconds: float = 3600


class Intake:
    """Whether new work is taken. It closes once, when the service begins to drain."""

    def __init__(self) -> None:
        self.is_open = True

    def close(self) -> None:
        """Take no new work; what was accepted goes on."""
        self.is_open = False


# These are coroutines, for FastAPI takes a thread for each call of a plain function.


async def _library(request: Request) -> service.engine.Library:
    library: service.engine.Library = request.app.state.library
    return library


async def _limits(request: Request) -> RequestLimits:
    limits: RequestLimits = request.app.state.limits
    return limits


async def _intake(request: Request) -> Intake:
    intake: Intake = request.app.state.intake
    return intake


async def _access(request: Request) -> Access:
    access: Access = request.app.state.access
    return access


async def _documents(request: Request) -> service.documents.Documents:
    documents: service.documents.Documents = request.app.state.documents
    return documents


async def _batches(request: Request) -> service.batches.Batches:
    batches: service.batches.Batches = request.app.state.batches
    return batches


async def _evaluations(request: Request) -> service.evaluations.Evaluations:
    evaluations: service.evaluations.Evaluations = request.app.state.evaluations
    return evaluations


async def _suggestions(request: Request) -> Suggestions | None:
    suggestions: Suggestions | None = request.app.state.suggestions
    return suggestions


async def _glossaries(request: Request) -> service.glossaries.Glossaries:
    glossaries: service.glossaries.Glossaries = request.app.state.glossaries
    return glossaries


async def _promotions(request: Request) -> service.promotions.Promotions:
    promotions: service.promotions.Promotions = request.app.state.promotions
    return promotions


Library = Annotated[service.engine.Library, Depends(_library)]
Limits = Annotated[RequestLimits, Depends(_limits)]
CurrentIntake = Annotated[Intake, Depends(_intake)]
CurrentAccess = Annotated[Access, Depends(_access)]
CurrentGlossaries = Annotated[service.glossaries.Glossaries, Depends(_glossaries)]
CurrentDocuments = Annotated[service.documents.Documents, Depends(_documents)]
CurrentBatches = Annotated[service.batches.Batches, Depends(_batches)]
CurrentEvaluations = Annotated[service.evaluations.Evaluations, Depends(_evaluations)]
CurrentPromotions = Annotated[service.promotions.Promotions, Depends(_promotions)]
CurrentSuggestions = Annotated[Suggestions | None, Depends(_suggestions)]
"""Where suggestions are kept, if any are taken."""


async def _models(library: Library) -> AsyncIterator[service.engine.Models]:
    # Held for the whole request: its texts are translated by one version of a model.
    with library.hold() as models:
        yield models


Models = Annotated[service.engine.Models, Depends(_models)]


async def _models_at_work(models: Models, intake: CurrentIntake) -> service.engine.Models:
    if not intake.is_open:
        raise Overloaded("the service is shutting down")
    return models


ModelsAtWork = Annotated[service.engine.Models, Depends(_models_at_work)]
"""The models for new work, which is refused while the service drains."""


KEY_SCHEMES = {"bearer", "deepl-auth-key"}
"""Of the header `Authorization`; `X-API-Key` is the other header that may hold a key."""


async def authorize(
    request: Request, key: str | None, scope: KeyScope | None, characters: int | None = None
) -> Caller:
    """Tell who asks, and refuse what he may not do.

    What he is charged for is counted when the answer ends, unless it is a failure.

    Args:
        key: from where the dialect has it; a header counts if it has none.
        scope: what the key must be good for; None takes any.
        characters: what is to be translated; None if this is not known yet, or nothing is.

    Raises:
        ServiceError: what `Access.identify` and `Caller.charge` raise.
    """
    access = await _access(request)
    address = request.client.host if request.client else ""
    caller = await access.identify(key or _key_in_headers(request), address, scope)
    request.state.caller = caller
    if characters is not None:
        caller.charge(characters)
    return caller


def _key_in_headers(request: Request) -> str | None:
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() in KEY_SCHEMES:
        return credentials.strip()
    return request.headers.get("X-API-Key")


class _For:
    """Dependency: who asks, with his key in a header, refused before the fields are looked at."""

    def __init__(self, scope: KeyScope | None) -> None:
        self._scope = scope

    async def __call__(self, request: Request) -> Caller:
        return await authorize(request, None, self._scope)


TranslatingCaller = Annotated[Caller, Depends(_For("translate"))]
"""Who asks for translations; to be charged. The first of a route's parameters: what comes before
is answered to everyone."""
DocumentsCaller = Annotated[Caller, Depends(_For("documents"))]
EvaluatingCaller = Annotated[Caller, Depends(_For("evaluate"))]
GlossariesCaller = Annotated[Caller, Depends(_For("glossaries"))]
AdminCaller = Annotated[Caller, Depends(_For("admin"))]
"""Who may change what serves: nobody without a key, unless there are none."""
AnyCaller = Annotated[Caller, Depends(_For(None))]
"""Who asks, whatever his key is good for."""


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
