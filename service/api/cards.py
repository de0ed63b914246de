"""The cards of the loaded models, for people: what each was made of and how well it does."""

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse
from markdown_it import MarkdownIt

from service.api.dependencies import Models
from service.api.dialect import dialect
from service.api.failure import FAILURES, FailureBody, render
from service.errors import NotFound

router = APIRouter(
    prefix="/v1/models", tags=["translation"], route_class=dialect(render), responses=FAILURES
)

# Markup in a card stays text: a card comes with a bundle, and a bundle from anywhere.
_markdown = MarkdownIt("commonmark", {"html": False}).enable("table")


@router.get(
    "/{name}/{version}/card",
    response_class=Response,
    responses={
        200: {"content": {"text/html": {"schema": {"type": "string"}}}, "description": "HTML"},
        404: {"model": FailureBody, "description": "No such model is loaded"},
    },
)
async def read_card(name: str, version: str, models: Models) -> HTMLResponse:
    """Return the card of a loaded model as HTML, without scripts or styles."""
    for model in models.describe():
        if (model.name, model.version) == (name, version):
            return HTMLResponse(_markdown.render(model.card))
    raise NotFound(f"the model {name}/{version} is not loaded")
