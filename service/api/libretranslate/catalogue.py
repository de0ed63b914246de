"""What is served: languages, the settings of a front end, health."""

from itertools import chain
from typing import Any

from fastapi import Request
from pydantic import BaseModel, Field

from service.api.dependencies import CurrentAccess, CurrentSuggestions, Limits, Models, ModelsAtWork
from service.api.description import part
from service.api.languages import name_of
from service.api.libretranslate.wording import TAG, dialect_router
from service.documents import suffixes
from service.engine import closest
from service.errors import UnsupportedPair

FRONTEND_TIMEOUT_MILLISECONDS = 500
"""How long a front end waits after a key is pressed; that of the original."""

AUTO = "auto"
"""Instead of a source language: find it for each text."""

router = dialect_router()


class Language(BaseModel):
    """A language and what it can be translated into."""

    code: str = Field(examples=["de"])
    name: str = Field(examples=["German"])
    targets: list[str] = Field(description="Codes; its own is among them.")


class NamedLanguage(BaseModel):
    """A language that a front end offers first."""

    code: str
    name: str


class FrontendLanguages(BaseModel):
    """The languages that a front end offers first."""

    source: NamedLanguage
    target: NamedLanguage


class FrontendSettings(BaseModel):
    """What a front end must know of this server."""

    apiKeys: bool = Field(description="Whether keys are known.")
    charLimit: int = Field(description="Most characters of a text.")
    filesTranslation: bool
    frontendTimeout: int = Field(description="Milliseconds to wait after a key is pressed.")
    keyRequired: bool = Field(description="Whether nobody is served without a key.")
    language: FrontendLanguages
    suggestions: bool
    supportedFilesFormat: list[str] = Field(examples=[[".txt", ".html"]])


class Health(BaseModel):
    """The answer of a server that is well."""

    status: str = "ok"


@router.get("/languages")
async def list_languages(models: Models) -> list[Language]:
    """List the languages, by their names."""
    listed = [
        Language(code=code, name=name_of(code), targets=targets)
        for code, targets in _targets_by_source(models).items()
    ]
    return sorted(listed, key=lambda language: language.name)


@router.get("/frontend/settings")
async def read_frontend_settings(
    models: Models, limits: Limits, access: CurrentAccess, suggestions: CurrentSuggestions
) -> FrontendSettings:
    """Tell a front end what this server allows."""
    codes = _targets_by_source(models)
    target = "en" if "en" in codes else next(iter(codes))
    return FrontendSettings(
        apiKeys=access.policy.keys != "off",
        charLimit=limits.max_text_characters,
        filesTranslation=True,
        frontendTimeout=FRONTEND_TIMEOUT_MILLISECONDS,
        keyRequired=access.policy.keys == "required",
        language=FrontendLanguages(
            source=NamedLanguage(code=AUTO, name="Auto Detect"),
            target=NamedLanguage(code=target, name=name_of(target)),
        ),
        suggestions=suggestions is not None,
        supportedFilesFormat=suffixes(),
    )


@router.get("/health")
async def check_health(_: ModelsAtWork) -> Health:
    """Tell whether texts are translated now."""
    return Health()


@router.get("/spec")
async def read_spec(request: Request) -> dict[str, Any]:
    """Return the description of these routes alone, in OpenAPI."""
    return part(request.app.openapi(), TAG)


def _targets_by_source(models: Models) -> dict[str, list[str]]:
    """Return the codes that each language can be translated into, which it can into itself."""
    targets_by_source = models.languages()
    codes = {*targets_by_source, *chain.from_iterable(targets_by_source.values())}
    return {code: sorted({code, *targets_by_source.get(code, [])}) for code in sorted(codes)}


def check_pair(source: str, target: str, models: Models) -> None:
    """Refuse what cannot be translated, in the words of the original.

    Raises:
        UnsupportedPair: a language is not served, or the one not into the other.
    """
    targets_by_source = _targets_by_source(models)
    sources, targets = (closest(code, targets_by_source) for code in (source, target))
    for code, served in ((source, sources), (target, targets)):
        if not served:
            raise UnsupportedPair(f"{code} is not supported")
    if not any(each in targets_by_source[one] for one in sources for each in targets):
        raise UnsupportedPair(
            f"{_described(targets[0])} is not available as a target language"
            f" from {_described(sources[0])}",
            field="target",
        )


def _described(code: str) -> str:
    return f"{name_of(code)} ({code})"
