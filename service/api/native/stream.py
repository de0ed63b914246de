"""`POST /v1/translate/stream`: sentences as they are done, as server-sent events.

    sentence      one sentence; in the order in which they are done, not that of the text
    translation   the whole text, as `POST /v1/translate` would answer; the end
    error         what went wrong; the end

What goes wrong before the first sentence is done is answered by its status, without events.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Depends, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field

from service.api.dependencies import (
    CurrentGlossaries,
    Limits,
    Models,
    ModelsAtWork,
    TranslatingCaller,
    unless_gone,
)
from service.api.dialect import dialect, failures, refused
from service.api.failure import FAILURES, FailureBody, describe, render
from service.api.native.inputs import AUTO, Text
from service.api.native.options import Options, check, engine_options
from service.api.native.results import CONFIDENCE, Span, TranslationBody
from service.api.native.terms import TermFinder
from service.api.texts import check_texts, detect_texts
from service.engine import Detection, FinishedSentence, FinishReason, Translation, is_same_language
from service.record import current_record

router = APIRouter(
    prefix="/v1",
    tags=["translation"],
    route_class=dialect(render),
    responses=FAILURES | failures(FailureBody, 404),
)


Part: TypeAlias = FinishedSentence | Translation


class StreamRequest(Options):
    """A text and how to translate it."""

    text: Text = Field(examples=["Guten Morgen. Wie geht es dir?"])


class FinishedBody(BaseModel):
    """The data of an event `sentence`."""

    model_config = ConfigDict(from_attributes=True)

    index: int = Field(description="Place among the sentences of the text, from 0.")
    num_sentences: int
    source_span: Span = Field(description="[begin, end) in characters of the text.")
    text: str = Field(description="The translation of the sentence.")
    score: float = Field(description="Length-normalised log-probability.")
    confidence: float | None = Field(None, description=CONFIDENCE)
    finish_reason: FinishReason


class Work:
    """A translation that has begun."""

    def __init__(self, text: str, parts: AsyncGenerator[Part], detection: Detection | None) -> None:
        self._parts = parts
        self._first: Part | None = None
        self._detection = detection
        self.remaining = len(text)
        """Characters of sentences that are not done."""

    async def begin(self) -> None:
        """Wait for the first part: what fails before it can be answered by its status.

        Raises:
            ServiceError: as for `Translator.translate`.
        """
        self._first = await anext(self._parts)

    async def events(self) -> AsyncIterator[ServerSentEvent]:
        """Yield an event for each part."""
        assert self._first is not None, "begun before"
        yield self._event(self._first)
        async for part in self._parts:
            yield self._event(part)

    def _event(self, part: Part) -> ServerSentEvent:
        if isinstance(part, Translation):
            self.remaining = 0
            return _event("translation", TranslationBody.of(part, self._detection))
        begin, end = part.source_span
        self.remaining -= end - begin
        return _event("sentence", FinishedBody.model_validate(part))


def _event(name: str, body: BaseModel) -> ServerSentEvent:
    # What is null in a failure is shown there as everywhere else.
    is_failure = isinstance(body, FailureBody)
    return ServerSentEvent(event=name, raw_data=body.model_dump_json(exclude_none=not is_failure))


async def _begun(
    caller: TranslatingCaller,
    body: StreamRequest,
    request: Request,
    models: ModelsAtWork,
    limits: Limits,
    glossaries: CurrentGlossaries,
) -> AsyncIterator[Work]:
    check_texts([body.text], limits)
    check(body, [body.text], limits)
    caller.charge(len(body.text))
    detection = None
    if body.source == AUTO:
        [detection] = await detect_texts([body.text], models, engine_options(body).markup)
    terms = TermFinder(body, glossaries, caller)
    async with aclosing(_parts(body, detection, models, terms)) as parts:
        work = Work(body.text, parts, detection)
        try:
            await unless_gone(request, work.begin())
            yield work
        finally:
            caller.refund(work.remaining)


async def _parts(
    body: StreamRequest, detection: Detection | None, models: Models, terms: TermFinder
) -> AsyncGenerator[Part]:
    source = detection.language if detection else body.source
    if detection and is_same_language(source, body.target):
        yield Translation.unchanged(body.text, source)
        return
    translator = models.find(source, body.target)
    if record := current_record():
        record.note_model(translator.model)
    options = replace(engine_options(body), terms=await terms.find(source))
    async with aclosing(translator.stream(body.text, options)) as parts:
        async for part in parts:
            yield part


@router.post("/translate/stream", response_class=EventSourceResponse)
async def stream_translation(
    request: Request, work: Annotated[Work, Depends(_begun)]
) -> AsyncIterator[ServerSentEvent]:
    """Translate one text; tell of each sentence when it is done, and of the whole at last."""
    try:
        async for event in work.events():
            yield event
    except Exception as error:  # noqa: BLE001  # the status has been sent, so it is an event
        yield _event("error", FailureBody(error=describe(request, refused(request, error))))
