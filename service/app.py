"""The composition of the service: `create_app` builds the objects and wires the routers."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import metrics
from service.access import Access, AccessPolicy
from service.api import (
    apertium,
    batches,
    cards,
    deepl,
    description,
    documents,
    evaluations,
    failure,
    libretranslate,
    native,
    operations,
    versions,
)
from service.api.dependencies import Intake, RequestLimits
from service.api.dialect import BodyLimit, Render, Unrouted
from service.api.settlement import Settlement
from service.batches import Batches, BatchFiles, BatchLimits
from service.document_files import DocumentFiles
from service.documents import DocumentLimits, Documents
from service.engine import EngineOptions, Library
from service.entries import GlossaryLimits
from service.evaluations import EvaluationFiles, EvaluationLimits, Evaluations
from service.evaluations.report_html import STYLE_SOURCE
from service.glossaries import Glossaries
from service.jobs import Jobs
from service.logs import RequestLog
from service.promotions import FindReport, Promotions
from service.settings import Settings
from service.store import Allowance, Keys, PromotionTable, Store
from service.suggestions import Suggestions
from service.test_sets import TestSets
from service.traces import open_traces

log = logging.getLogger(__name__)

WEB = Path(__file__).parent / "web"

PAGE_HEADERS = [
    (b"cache-control", b"no-cache"),  # a new version is seen at once; unchanged files are not sent
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data:; object-src 'none'; "
        # the page opens reports in tabs, which are under its own policy then
        b"style-src 'self' %s; "
        % STYLE_SOURCE.encode()
        + b"base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]

DESCRIPTION = """\
Translates text with recurrent networks, sentence by sentence, in batches shared by all callers.

Every failure has one shape: `{"error": {"code", "message", "field", "limit", "request_id"}}`.
`field` names the part of the request at fault and `limit` the number it broke, where there is one.
A request that is refused with 503 may be sent again after the seconds in `Retry-After`.
"""


RENDERS: dict[str, Render] = {
    "": failure.render,
    **dict.fromkeys(deepl.PREFIXES, deepl.render),
    **dict.fromkeys(libretranslate.PREFIXES, libretranslate.render),
    **dict.fromkeys(apertium.PREFIXES, apertium.render),
}
"""Who answers for a path that no route has: each dialect for the paths that begin as its own."""


PARTS = (
    *(native, cards, documents, batches, evaluations),
    *(deepl, libretranslate, apertium),
    versions,
    operations,
)
DOCUMENT_PATHS = ("/v1/documents", "/v2/document", "/translate_file")
"""Of all dialects, those to which documents are sent."""
FORM_BYTES = 65_536
"""What the form around a file may add to it."""


def create_app(settings: Settings, library: Library | None = None) -> FastAPI:
    """Build the application around a library of models.

    It begins to load the models when it is started, and closes them when it is shut down.
    `app.state.intake` is for the server to close when it begins to drain, and
    `app.state.library.started` tells whether the models could be loaded.

    Args:
        library: what to serve instead of the bundles of the settings.
    """
    app = FastAPI(
        title="Dragoman",
        version="1",
        description=DESCRIPTION,
        docs_url=None,  # FastAPI's own page loads its scripts from elsewhere
        redoc_url=None,
        lifespan=partial(_lifespan, settings.drain_seconds),
    )
    app.openapi = partial(description.describe, app)  # type: ignore[method-assign]  # FastAPI's way
    _add_state(app, settings, library or _library(settings))
    _add_middleware(app, settings)
    unrouted = Unrouted(RENDERS)
    app.add_exception_handler(HTTPException, unrouted)
    app.add_exception_handler(Exception, unrouted)
    for part in PARTS:
        app.include_router(part.router)
    _add_pages(app)
    metrics.tell_build()
    return app


def _add_state(app: FastAPI, settings: Settings, library: Library) -> None:
    traces = settings.traces
    app.state.traces = open_traces(traces, settings.traces_ratio) if traces else None
    app.state.library = library
    app.state.intake = Intake()
    app.state.limits = _limits(settings)
    app.state.store = Store(settings.data_folder, settings.database_url)
    app.state.glossaries = Glossaries(app.state.store, _glossary_limits(settings))
    app.state.access = _access(settings, app.state.store)
    app.state.jobs = _jobs(settings)
    app.state.documents = _documents(settings, library, app.state.jobs)
    app.state.batches = _batches(settings, library, app.state.jobs)
    app.state.evaluations = _evaluations(settings, library, app.state.jobs)
    find_report = app.state.evaluations.find_report
    app.state.promotions = _promotions(settings, library, app.state.store, find_report)
    app.state.suggestions = (
        Suggestions(settings.data_folder) if settings.suggestions == "on" else None
    )


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    # The last one added is the first one entered.
    app.add_middleware(
        BodyLimit, max_bytes=settings.max_body_bytes, uploads=_upload_limits(settings)
    )
    app.add_middleware(Settlement)
    _let_pages_call(app, settings.origins)
    app.add_middleware(PageHeaders)
    app.add_middleware(deepl.TraceId)
    app.add_middleware(RequestLog, traces=app.state.traces)


def _upload_limits(settings: Settings) -> dict[str, int]:
    return {
        **dict.fromkeys(DOCUMENT_PATHS, settings.max_file_bytes + FORM_BYTES),
        "/v1/batches": settings.max_batch_bytes,
        "/v1/evaluations": settings.max_evaluation_bytes,
    }


def _limits(settings: Settings) -> RequestLimits:
    return RequestLimits(
        max_texts=settings.max_texts,
        max_text_characters=settings.max_text_characters,
        max_characters=settings.max_characters,
        max_beam=settings.max_beam,
        max_alternatives=settings.max_alternatives,
        max_tokens=settings.max_tokens,
        max_attention_characters=settings.max_attention_characters,
    )


def _glossary_limits(settings: Settings) -> GlossaryLimits:
    return GlossaryLimits(
        max_glossaries=settings.max_glossaries,
        max_entries=settings.max_glossary_entries,
        max_term_characters=settings.max_term_characters,
    )


def _let_pages_call(app: FastAPI, origins: list[str]) -> None:
    if not origins:
        return
    app.add_middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=[
            *("Authorization", "X-API-Key", "Idempotency-Key"),
            *("X-Request-Id", "traceparent", "tracestate"),
        ],
        expose_headers=[
            *("Retry-After", "Server-Timing", "X-Model-Version", "X-Request-Id", "X-Trace-ID"),
            *("Content-Disposition", "Location", "WWW-Authenticate"),
        ],
    )


def _access(settings: Settings, store: Store) -> Access:
    anonymous = Allowance(
        requests_per_minute=settings.requests_per_minute or None,
        characters_per_minute=settings.characters_per_minute or None,
    )
    return Access(AccessPolicy(settings.keys, anonymous), Keys(store))


def _jobs(settings: Settings) -> Jobs:
    url = settings.database.get_secret_value() if settings.database else ""
    return Jobs(settings.data_folder, url)


def _documents(settings: Settings, library: Library, jobs: Jobs) -> Documents:
    limits = DocumentLimits(
        max_bytes=settings.max_file_bytes,
        max_characters=settings.max_file_characters,
        max_segments=settings.max_file_segments,
        max_documents=settings.max_documents,
        keep_seconds=settings.keep_documents_seconds,
        max_running=settings.max_running_jobs,
    )
    return Documents(DocumentFiles(settings.data_folder / "documents"), library, jobs, limits)


def _batches(settings: Settings, library: Library, jobs: Jobs) -> Batches:
    limits = BatchLimits(
        max_lines=settings.max_batch_lines,
        max_characters=settings.max_text_characters,
        max_batches=settings.max_batches,
        keep_seconds=settings.keep_batches_seconds,
    )
    files = BatchFiles(settings.data_folder / "batches")
    return Batches(files, library, jobs, limits, settings.max_running_batches)


def _evaluations(settings: Settings, library: Library, jobs: Jobs) -> Evaluations:
    limits = EvaluationLimits(
        max_lines=settings.max_evaluation_lines,
        max_line_characters=settings.max_text_characters,
        max_evaluations=settings.max_evaluations,
        keep_seconds=settings.keep_evaluations_seconds,
    )
    files = EvaluationFiles(settings.data_folder / "evaluations")
    test_sets = TestSets(settings.test_sets or settings.data_folder / "test-sets")
    running = settings.max_running_evaluations
    return Evaluations(files, library, jobs, test_sets, limits, running)


def _promotions(
    settings: Settings, library: Library, store: Store, find_report: FindReport
) -> Promotions:
    copy = settings.data_folder / "promotions.json"
    return Promotions(library, PromotionTable(store), copy, settings.promotion, find_report)


def _library(settings: Settings) -> Library:
    return Library(
        settings.bundles,
        _engine_options(settings),
        reload_seconds=settings.reload_seconds,
        follows_newest=settings.promotion == "newest",
    )


def _engine_options(settings: Settings) -> EngineOptions:
    return EngineOptions(
        device=settings.device,
        variant=settings.variant,
        shortlist=settings.shortlist,
        mode=settings.mode,
        max_rows=settings.max_rows,
        max_waiting_tokens=settings.max_waiting_tokens,
        max_wait_seconds=settings.max_wait_seconds,
        workers=settings.workers or None,
        cache_sentences=settings.cache_sentences,
    )


@asynccontextmanager
async def _lifespan(drain_seconds: float, app: FastAPI) -> AsyncIterator[None]:
    app.state.promotions.start()  # and with it the library, once it is known what is to serve
    app.state.access.start()
    app.state.jobs.resume()
    kept = (app.state.documents, app.state.batches, app.state.evaluations)
    sweeps = [asyncio.create_task(each.sweep()) for each in kept]
    yield
    app.state.intake.close()
    for sweep in sweeps:
        sweep.cancel()
    await app.state.promotions.close()
    await asyncio.to_thread(app.state.jobs.close)
    await asyncio.to_thread(app.state.library.close, drain_seconds)
    await app.state.access.close()
    await asyncio.to_thread(app.state.store.close)
    if app.state.traces:
        await asyncio.to_thread(app.state.traces.close)
    log.info("stopped")


def _add_pages(app: FastAPI) -> None:
    app.add_api_route("/", _index, methods=["GET", "HEAD"], include_in_schema=False)
    app.add_api_route("/docs", _docs, methods=["GET", "HEAD"], include_in_schema=False)
    app.mount("/docs/swagger", StaticFiles(packages=[("fastapi_swagger", "resources")]))
    app.mount("/web", StaticFiles(directory=WEB))


async def _index() -> FileResponse:
    return FileResponse(WEB / "index.html")


async def _docs() -> FileResponse:
    return FileResponse(WEB / "docs.html")


class PageHeaders:
    """ASGI middleware: lets a browser load and run nothing but what this service sends.

    A response that brings one of the headers itself keeps it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name.lower() for name, _ in message["headers"]}
                others = [header for header in PAGE_HEADERS if header[0] not in own]
                message["headers"] = [*message["headers"], *others]
            await send(message)

        await self._app(scope, receive, send_with_headers)
