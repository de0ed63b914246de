"""The DeepL dialect: what the clients of DeepL's API send and expect, versions 2 and 3.

Spoken as DeepL's OpenAPI document 3.11 says and as its official clients for Python and Node do;
what differs on purpose stands in the README of the service.
"""

from fastapi import APIRouter

from service.api.deepl import documents, glossaries, languages, multilingual, translation, usage
from service.api.deepl.answers import PREFIXES, TraceId, render

router = APIRouter()
for module in (translation, languages, usage, documents, glossaries, multilingual):
    router.include_router(module.router)

__all__ = ["PREFIXES", "TraceId", "render", "router"]
