"""The official Python client of DeepL, and what a key may do: a server with jobs of its own."""

import io

import deepl
import pytest


def test_document_that_is_lost_sight_of_comes_with_its_handle(connect, keyed_server):
    client = connect(keyed_server.url, keyed_server.make("documents", requests_per_minute=1))

    with pytest.raises(deepl.DocumentTranslationException, match="Too many requests") as caught:
        client.translate_document(b"Hund", io.BytesIO(), filename="a.txt", target_lang="EN-US")

    assert caught.value.document_handle.document_key
