"""Glossaries of both versions, as clients of DeepL lay them down, read, change and use them."""

import re
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.engine import Term
from service.keyring import new_key
from service.settings import Settings
from service.store import Allowance, Keys
from tests.service.api.conftest import ShoutingModels

MISSING = "00000000-0000-0000-0000-000000000000"
ANIMALS = {
    "name": "animals",
    "source_lang": "DE",
    "target_lang": "EN",
    "entries": "Hund\thound\nKatze\tcat",
    "entries_format": "tsv",
}
DICTIONARY = {name: value for name, value in ANIMALS.items() if name != "name"}
BACK = {
    "source_lang": "en",
    "target_lang": "de",
    "entries": "dog,Hund,en,de",
    "entries_format": "csv",
}
BOTH = {"name": "both", "dictionaries": [DICTIONARY, BACK]}
CREATED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """One server for all tests, for to make a database takes its time."""
    settings = Settings(keys="required", data=tmp_path_factory.mktemp("data"))
    with TestClient(create_app(settings, ShoutingModels())) as client:
        yield client


def header(client):
    """A key of its own, whose glossaries nobody else sees."""
    scopes = ["translate", "glossaries"]
    key, record = new_key("test", scopes, Allowance(), datetime.now(UTC), None)
    Keys(client.app.state.store).add(record)
    return {"Authorization": f"DeepL-Auth-Key {key}"}


@pytest.fixture
def client(served):
    served.headers.update(header(served))
    return served


@pytest.fixture
def models(client):
    return client.app.state.library


def create(client, body=ANIMALS, version=2):
    answer = client.post(f"/v{version}/glossaries", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def told(glossary):
    assert CREATED.fullmatch(glossary["creation_time"])
    return {
        name: glossary[name] for name in glossary if name not in ("glossary_id", "creation_time")
    }


def test_pairs_of_languages_are_those_that_are_translated(client):
    assert client.get("/v2/glossary-language-pairs").json() == {
        "supported_languages": [
            {"source_lang": "de", "target_lang": "en"},
            {"source_lang": "en", "target_lang": "de"},
        ]
    }


@pytest.mark.parametrize("place", ["json", "data"])
def test_glossary_is_laid_down_and_told(client, place):
    created = client.post("/v2/glossaries", **{place: ANIMALS})
    id = created.json()["glossary_id"]

    assert created.status_code == 201
    assert told(created.json()) == {
        "name": "animals",
        "ready": True,
        "source_lang": "de",
        "target_lang": "en",
        "entry_count": 2,
    }
    assert client.get(f"/v2/glossaries/{id}").json() == created.json()
    assert client.get("/v2/glossaries").json() == {"glossaries": [created.json()]}


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", "text/tab-separated-values"),
        ("*/*", "text/tab-separated-values"),
        ("text/*;q=0.5", "text/tab-separated-values"),
        ("application/json, text/plain, */*", "text/tab-separated-values"),
        ("text/tab-separated-values", "text/tab-separated-values"),
        ("text/csv, */*;q=0.1", "text/csv"),
    ],
)
def test_entries_come_in_the_type_that_is_accepted(client, accept, media_type):
    id = create(client)["glossary_id"]

    answer = client.get(f"/v2/glossaries/{id}/entries", headers={"Accept": accept})

    assert answer.headers["Content-Type"].partition(";")[0] == media_type
    separator = "\t" if "tab" in media_type else ","
    assert answer.text == f"Hund{separator}hound\nKatze{separator}cat"


def test_entries_come_in_no_other_type(client):
    id = create(client)["glossary_id"]

    answer = client.get(f"/v2/glossaries/{id}/entries", headers={"Accept": "application/json"})

    assert (answer.status_code, list(answer.json())) == (415, ["message"])


def test_glossary_is_forgotten(client):
    id = create(client)["glossary_id"]

    assert client.delete(f"/v2/glossaries/{id}").status_code == 204
    assert client.delete(f"/v2/glossaries/{id}").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2/glossaries/{id}"),
        ("GET", "/v2/glossaries/{id}/entries"),
        ("DELETE", "/v2/glossaries/{id}"),
        ("GET", "/v3/glossaries/{id}"),
        ("DELETE", "/v3/glossaries/{id}"),
        ("PATCH", "/v3/glossaries/{id}"),
        ("GET", "/v3/glossaries/{id}/entries?source_lang=de&target_lang=en"),
        ("DELETE", "/v3/glossaries/{id}/dictionaries?source_lang=de&target_lang=en"),
    ],
)
@pytest.mark.parametrize("id", [MISSING, "nothing"])
def test_unknown_glossary_is_not_found(client, method, path, id):
    answer = client.request(method, path.format(id=id))

    assert (answer.status_code, answer.json()) == (404, {"message": "there is no such glossary"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": None}, "Parameter 'name' not specified."),
        ({"name": ""}, "a name has 1 to 1024 characters"),
        ({"entries": None}, "Parameter 'entries' not specified."),
        ({"entries": ""}, "there are no entries"),
        ({"entries": "Hund"}, "line 1: 1 columns instead of 2"),
        ({"entries": "Hund\tdog\nHund\thound"}, "line 2: its source is that of line 1"),
        ({"entries_format": "xml"}, None),
        ({"target_lang": "xx"}, "Unsupported glossary source and target language pair"),
        ({"target_lang": "de"}, "Unsupported glossary source and target language pair"),
    ],
)
def test_what_is_wrong_with_a_glossary_is_told(client, change, message):
    answer = client.post("/v2/glossaries", json=ANIMALS | change)

    assert (answer.status_code, list(answer.json())) == (400, ["message"])
    assert answer.json()["message"] == message or message is None


def test_glossary_of_several_dictionaries_is_laid_down_and_told(client):
    created = create(client, BOTH, version=3)

    assert told(created) == {
        "name": "both",
        "dictionaries": [
            {"source_lang": "de", "target_lang": "en", "entry_count": 2},
            {"source_lang": "en", "target_lang": "de", "entry_count": 1},
        ],
    }
    assert client.get(f"/v3/glossaries/{created['glossary_id']}").json() == created
    assert client.get("/v3/glossaries").json() == {"glossaries": [created]}


def test_form_numbers_its_dictionaries(client):
    form = {"name": "both"}
    for i, dictionary in enumerate(BOTH["dictionaries"]):
        form |= {f"dictionaries[{i}].{name}": value for name, value in dictionary.items()}

    answer = client.post("/v3/glossaries", data=form)

    assert told(answer.json()) == told(create(client, BOTH, version=3))


def test_versions_see_the_same_glossaries_where_both_can(client):
    one, both = create(client)["glossary_id"], create(client, BOTH, version=3)["glossary_id"]

    listed = {
        version: [
            g["glossary_id"] for g in client.get(f"/v{version}/glossaries").json()["glossaries"]
        ]
        for version in (2, 3)
    }

    assert listed == {2: [one], 3: [both, one]}
    assert client.get(f"/v2/glossaries/{both}").status_code == 404
    assert "/v3/glossaries" in client.get(f"/v2/glossaries/{both}").json()["message"]


def entries(client, id, source="de", target="en"):
    pair = {"source_lang": source, "target_lang": target}
    answer = client.get(f"/v3/glossaries/{id}/entries", params=pair)
    assert answer.status_code == 200, answer.text
    return answer.json()["dictionaries"]


def test_entries_of_a_dictionary_are_read(client):
    id = create(client, BOTH, version=3)["glossary_id"]

    assert entries(client, id, "EN", "DE") == [
        {"source_lang": "en", "target_lang": "de", "entries": "dog\tHund", "entries_format": "tsv"}
    ]


def test_change_renames_and_adds_entries(client):
    id = create(client)["glossary_id"]
    new = DICTIONARY | {"entries": "Katze\tpuss\nMaus\tmouse"}

    changed = client.patch(
        f"/v3/glossaries/{id}", json={"name": "pets", "dictionaries": [new, BACK]}
    )

    assert told(changed.json()) == {
        "name": "pets",
        "dictionaries": [
            {"source_lang": "de", "target_lang": "en", "entry_count": 3},
            {"source_lang": "en", "target_lang": "de", "entry_count": 1},
        ],
    }
    assert entries(client, id)[0]["entries"] == "Hund\thound\nKatze\tpuss\nMaus\tmouse"


@pytest.mark.parametrize("place", ["json", "data"])
def test_dictionary_is_replaced(client, place):
    id = create(client, BOTH, version=3)["glossary_id"]
    new = DICTIONARY | {"entries": "Maus\tmouse"}

    answer = client.put(f"/v3/glossaries/{id}/dictionaries", **{place: new})

    assert (answer.status_code, answer.json()) == (
        200,
        {"source_lang": "de", "target_lang": "en", "entry_count": 1},
    )
    assert entries(client, id)[0]["entries"] == "Maus\tmouse"
    assert entries(client, id, "en", "de")[0]["entries"] == "dog\tHund"


def test_dictionary_is_taken_away(client):
    id = create(client, BOTH, version=3)["glossary_id"]
    path = f"/v3/glossaries/{id}/dictionaries?source_lang=DE&target_lang=EN"

    first, second = client.delete(path), client.delete(path)

    assert (first.status_code, second.status_code) == (204, 404)
    assert second.json() == {"message": "the glossary has no dictionary de-en"}
    assert len(client.get(f"/v3/glossaries/{id}").json()["dictionaries"]) == 1


def test_dictionary_that_is_meant_must_be_named(client):
    id = create(client)["glossary_id"]

    answers = [
        client.get(f"/v3/glossaries/{id}/entries?source_lang=de"),
        client.delete(f"/v3/glossaries/{id}/dictionaries"),
    ]

    assert [answer.json()["message"] for answer in answers] == [
        "Parameter 'target_lang' not specified.",
        "Parameter 'source_lang' not specified.",
    ]


def translate(client, **change):
    body = {"text": ["Hund"], "source_lang": "DE", "target_lang": "EN-GB"}
    return client.post("/v2/translate", json=body | change)


def test_translation_is_bound_to_the_terms_of_a_glossary(client, models):
    id = create(client, BOTH, version=3)["glossary_id"]

    assert translate(client, glossary_id=id).status_code == 200
    assert models.options[-1].terms == (Term("Hund", "hound"), Term("Katze", "cat"))


@pytest.mark.parametrize("spelled", ["list", "commas"])
def test_first_of_several_glossaries_decides(client, models, spelled):
    ids = [
        create(client, ANIMALS | {"entries": entries})["glossary_id"]
        for entries in ("Hund\thound", "Hund\tdog\nMaus\tmouse")
    ]

    answer = translate(client, glossary_ids=ids if spelled == "list" else ",".join(ids))

    assert answer.status_code == 200
    assert set(models.options[-1].terms) == {Term("Hund", "hound"), Term("Maus", "mouse")}


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        (
            {"source_lang": None},
            400,
            "Use of a glossary requires the source_lang parameter to be specified",
        ),
        ({"glossary_ids": ["a"]}, 400, None),
        ({"glossary_id": None, "glossary_ids": ["a"] * 6}, 400, None),
        ({"glossary_id": MISSING}, 404, "there is no such glossary"),
        (
            {"source_lang": "en", "target_lang": "de"},
            404,
            "the glossary has no dictionary en-de",
        ),
    ],
)
def test_glossary_that_cannot_be_used_is_told(client, change, status, message):
    id = create(client)["glossary_id"]

    answer = translate(client, **({"glossary_id": id} | change))

    assert answer.status_code == status
    assert answer.json()["message"] == message or message is None


def test_glossary_belongs_to_its_key(client):
    id = create(client)["glossary_id"]

    other = header(client)

    assert client.get(f"/v2/glossaries/{id}", headers=other).status_code == 404
    assert client.get("/v3/glossaries", headers=other).json() == {"glossaries": []}
    assert client.get(f"/v2/glossaries/{id}").status_code == 200
