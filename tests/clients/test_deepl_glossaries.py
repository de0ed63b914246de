"""Glossaries by the official `deepl` client for Python, as it is, against a real server."""

import io
from datetime import UTC, datetime

import deepl
import pytest
from deepl.api_data import MultilingualGlossaryDictionaryEntries

ENTRIES = {"Hund": "hound", "Katze": "cat"}


@pytest.fixture
def client(connect, server):
    return connect(server)


def test_pairs_of_languages_for_glossaries(client):
    pairs = {(each.source_lang, each.target_lang) for each in client.get_glossary_languages()}

    assert pairs == {("de", "en"), ("en", "de")}


def test_glossary_is_laid_down_read_listed_and_deleted(client):
    made = client.create_glossary("animals", "DE", "EN-GB", ENTRIES)

    assert (made.source_lang, made.target_lang, made.entry_count) == ("DE", "EN", 2)
    assert made.ready
    assert abs((datetime.now(UTC) - made.creation_time).total_seconds()) < 60
    assert client.get_glossary(made.glossary_id).name == "animals"
    assert client.get_glossary_entries(made) == ENTRIES
    assert made.glossary_id in {each.glossary_id for each in client.list_glossaries()}
    client.delete_glossary(made)
    with pytest.raises(deepl.GlossaryNotFoundException):
        client.get_glossary(made.glossary_id)


def test_glossary_is_laid_down_from_csv(client):
    made = client.create_glossary_from_csv("animals", "DE", "EN", 'Hund,"the hound",DE,EN\n')

    assert client.get_glossary_entries(made) == {"Hund": "the hound"}
    client.delete_glossary(made)


def test_glossary_that_is_none_is_told(client):
    with pytest.raises(deepl.DeepLException, match="Unsupported glossary source and target"):
        client.create_glossary("animals", "DE", "JA", ENTRIES)
    with pytest.raises(deepl.GlossaryNotFoundException):
        client.get_glossary("nothing")
    with pytest.raises(deepl.DeepLException, match="there is no such glossary"):
        client.translate_text("Hund", source_lang="DE", target_lang="EN-GB", glossary="nothing")


def test_translation_is_bound_to_a_glossary(client):
    made = client.create_glossary("animals", "DE", "EN", ENTRIES)
    text = "Ich sehe einen Hund."

    one = client.translate_text_with_glossary(text, made)
    several = client.translate_text(
        [text], source_lang="DE", target_lang="EN-US", glossary_ids=[made.glossary_id]
    )
    document = io.BytesIO()
    client.translate_document(
        text.encode(),
        document,
        filename="a.txt",
        source_lang="DE",
        target_lang="EN-US",
        glossary=made,
    )

    assert "hound" in one.text
    assert several[0].text == document.getvalue().decode() == one.text
    client.delete_glossary(made)


def entries(source_lang, target_lang, entries):
    return MultilingualGlossaryDictionaryEntries(source_lang, target_lang, entries)


@pytest.fixture
def glossary(client):
    """One for both directions."""
    dictionaries = [entries("DE", "EN", ENTRIES), entries("EN", "DE", {"dog": "Hund"})]
    made = client.create_multilingual_glossary("both", dictionaries)
    yield made
    client.delete_multilingual_glossary(made)


def sizes(glossary):
    return {
        (each.source_lang, each.target_lang): each.entry_count for each in glossary.dictionaries
    }


def test_multilingual_glossary_is_laid_down_and_read(client, glossary):
    read = client.get_multilingual_glossary_entries(glossary, "DE", "EN").dictionaries

    assert sizes(glossary) == {("DE", "EN"): 2, ("EN", "DE"): 1}
    assert sizes(client.get_multilingual_glossary(glossary.glossary_id)) == sizes(glossary)
    assert [each.entries for each in read] == ["Hund\thound\nKatze\tcat"]
    listed = client.list_multilingual_glossaries()
    assert glossary.glossary_id in {each.glossary_id for each in listed}


def test_multilingual_glossary_is_changed(client, glossary):
    renamed = client.update_multilingual_glossary_name(glossary, "other")
    added = client.update_multilingual_glossary_dictionary(
        glossary, entries("DE", "EN", {"Maus": "mouse"})
    )
    replaced = client.replace_multilingual_glossary_dictionary(
        glossary, entries("EN", "DE", {"cat": "Katze", "dog": "Hund"})
    )

    assert renamed.name == "other"
    assert sizes(added) == {("DE", "EN"): 3, ("EN", "DE"): 1}
    assert replaced.entry_count == 2
    client.delete_multilingual_glossary_dictionary(glossary, replaced)
    assert sizes(client.get_multilingual_glossary(glossary.glossary_id)) == {("DE", "EN"): 3}
    with pytest.raises(deepl.GlossaryNotFoundException):
        client.get_multilingual_glossary_entries(glossary, "EN", "DE")
