"""Languages: what they are called here, and which there are."""

from collections.abc import Iterable, Mapping
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from service.api.bodies import Fields, query_parameters, request_body
from service.api.deepl.answers import FAILURES, render
from service.api.deepl.fields import parse
from service.api.deepl.keys import AnyCaller
from service.api.dependencies import Models
from service.api.dialect import dialect
from service.api.languages import name_of
from service.errors import InvalidRequest

router = APIRouter(tags=["DeepL"], route_class=dialect(render), responses=FAILURES)

VARIANTS: Mapping[str, Mapping[str, str]] = {
    "en": {"en-GB": "English (British)", "en-US": "English (American)"},
    "pt": {"pt-BR": "Portuguese (Brazilian)", "pt-PT": "Portuguese (European)"},
}
"""Targets that clients look for instead of the language itself, which the official ones refuse.

One model serves them all.
"""
FEATURES_BY_RESOURCE: Mapping[str, tuple[str, ...]] = {
    "translate_text": ("glossary", "tag_handling"),
    "translate_document": ("glossary",),
    "glossary": (),
}
"""What can be asked of a language by what it is used for."""


class LanguagesRequest(BaseModel):
    """Which side of a translation is asked about."""

    type: str = Field("source", json_schema_extra={"enum": ["source", "target"]})


class DeepLLanguage(BaseModel):
    """A language that can be translated from, or into."""

    language: str = Field(examples=["DE"])
    name: str = Field(examples=["German"])
    supports_formality: bool | None = Field(default=None, description="Of targets: always false.")


class ResourceRequest(BaseModel):
    """What languages are to be used for."""

    resource: str = Field(json_schema_extra={"enum": list(FEATURES_BY_RESOURCE)})


class Feature(BaseModel):
    """That a language can be used with something."""

    status: Literal["stable"] = "stable"


class ResourceLanguage(BaseModel):
    """A language, on which sides it can be used, and with what."""

    lang: str = Field(examples=["de"])
    name: str = Field(examples=["German"])
    usable_as_source: bool
    usable_as_target: bool
    status: Literal["stable"] = "stable"
    features: dict[str, Feature]


def tell_source(language: str) -> str:
    """Spell the language of a text as answers do: in upper case, without a region."""
    return _base(language).upper()


def check_languages(source: str | None, target: str, models: Models) -> None:
    """Refuse languages that are not served, also where nothing needs to be translated.

    Raises:
        InvalidRequest: the source or the target is not.
    """
    if source is not None and _base(source) not in map(_base, models.languages()):
        raise InvalidRequest("Value for 'source_lang' not supported.", field="source_lang")
    if _base(target) not in {_base(each) for each in _codes_of_targets(models)}:
        raise InvalidRequest("Value for 'target_lang' not supported.", field="target_lang")


@router.get(
    "/v2/languages",
    response_model_exclude_none=True,
    openapi_extra=query_parameters(LanguagesRequest),
)
@router.post(
    "/v2/languages", response_model_exclude_none=True, openapi_extra=request_body(LanguagesRequest)
)
async def list_deepl_languages(fields: Fields, _: AnyCaller, models: Models) -> list[DeepLLanguage]:
    """List the languages that can be translated from, or into."""
    side = parse(LanguagesRequest, fields).type
    if side == "source":
        return [
            DeepLLanguage(language=code.upper(), name=name)
            for code, name in _sources(models).items()
        ]
    if side == "target":
        return [
            DeepLLanguage(language=code.upper(), name=name, supports_formality=False)
            for code, name in _targets(models).items()
        ]
    message = "Parameter 'type' is invalid. 'source' and 'target' are valid values."
    raise InvalidRequest(message, field="type")


@router.get("/v3/languages", openapi_extra=query_parameters(ResourceRequest))
async def list_resource_languages(
    fields: Fields, _: AnyCaller, models: Models
) -> list[ResourceLanguage]:
    """List all languages with what they can be used for."""
    resource = parse(ResourceRequest, fields).resource
    if resource not in FEATURES_BY_RESOURCE:
        raise InvalidRequest("Value for 'resource' not supported.", field="resource")
    features = {each: Feature() for each in FEATURES_BY_RESOURCE[resource]}
    sources, targets = _sources(models), _targets(models)
    return [
        ResourceLanguage(
            lang=code,
            name=name,
            usable_as_source=code in sources,
            usable_as_target=code in targets,
            features=features,
        )
        for code, name in sorted((sources | targets).items())
    ]


def _sources(models: Models) -> dict[str, str]:
    return {code: name_of(code) for code in sorted(map(_base, models.languages()))}


def _targets(models: Models) -> dict[str, str]:
    return dict(sorted(_with_variants(_codes_of_targets(models))))


def _codes_of_targets(models: Models) -> set[str]:
    return {target for targets in models.languages().values() for target in targets}


def _with_variants(languages: Iterable[str]) -> Iterable[tuple[str, str]]:
    for language in languages:
        yield from VARIANTS.get(language, {language: name_of(language)}).items()


def _base(language: str) -> str:
    return language.replace("_", "-").partition("-")[0].lower()
