import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.engine import Term
from service.settings import Settings

ANIMALS = {
    "name": "Zoo",
    "dictionaries": [
        {"source": "de", "target": "en", "entries": "Hund\tdog\nKatze\tcat"},
        {
            "source": "en",
            "target": "de",
            "entries": [{"source": "dog", "target": "Hund", "case_sensitive": True}],
        },
    ],
}
DE_EN = {"source": "de", "target": "en"}


@pytest.fixture
def animals(client) -> str:
    """The address of a glossary."""
    return f"/v1/glossaries/{client.post('/v1/glossaries', json=ANIMALS).json()['id']}"


def test_glossary_is_laid_down_and_told(client):
    created = client.post("/v1/glossaries", json=ANIMALS)

    assert created.status_code == 201
    told = created.json()
    assert told["dictionaries"] == [
        {"source": "de", "target": "en", "entry_count": 2},
        {"source": "en", "target": "de", "entry_count": 1},
    ]
    assert told["name"] == "Zoo"
    assert client.get(f"/v1/glossaries/{told['id']}").json() == told
    assert client.get("/v1/glossaries").json() == {"glossaries": [told]}


def test_entries_come_back_in_the_format_asked_for(client, animals):
    def read(format: str, **pair):
        answer = client.get(f"{animals}/entries", params={"format": format, **(pair or DE_EN)})
        assert answer.status_code == 200
        return answer

    assert read("json").json() == {
        "source": "de",
        "target": "en",
        "entries": [
            {"source": "Hund", "target": "dog", "case_sensitive": False},
            {"source": "Katze", "target": "cat", "case_sensitive": False},
        ],
    }
    assert read("json", source="en", target="de").json()["entries"][0]["case_sensitive"] is True
    assert read("tsv").text == "Hund\tdog\nKatze\tcat"
    assert read("tsv").headers["content-type"].startswith("text/tab-separated-values")
    assert read("csv").text == "Hund,dog\nKatze,cat"


def test_glossary_is_replaced_changed_and_forgotten(client, animals):
    one = {"name": "Park", "dictionaries": [{**DE_EN, "entries": "Maus,mouse", "format": "csv"}]}
    more = {"dictionaries": [{**DE_EN, "entries": "Igel\thedgehog"}]}

    assert client.put(animals, json=one).json()["name"] == "Park"
    changed = client.patch(animals, json=more).json()
    assert (changed["name"], changed["dictionaries"][0]["entry_count"]) == ("Park", 2)
    assert client.patch(animals, json={"name": "Zoo"}).json()["name"] == "Zoo"
    assert client.delete(f"{animals}/entries", params=DE_EN).status_code == 204
    assert client.get(animals).json()["dictionaries"] == []
    assert client.delete(animals).status_code == 204
    assert client.get(animals).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/glossaries/none"),
        ("DELETE", "/v1/glossaries/none"),
        ("PATCH", "/v1/glossaries/none"),
        ("GET", "/v1/glossaries/none/entries?source=de&target=en"),
        ("DELETE", "/v1/glossaries/none/entries?source=de&target=en"),
    ],
)
def test_glossary_that_is_not_there_is_not_found(client, method, path):
    answer = client.request(method, path, json={} if method == "PATCH" else None)

    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == "there is no such glossary"


@pytest.mark.parametrize(
    ("dictionary", "field", "message"),
    [
        ({**DE_EN, "entries": "Hund"}, "entries", "line 1: 1 columns instead of 2"),
        ({**DE_EN, "entries": 5}, "dictionaries.0.entries", "an entry in each line, or a list"),
        ({**DE_EN, "entries": [{"source": "a"}]}, "dictionaries.0.entries.terms.0.target", ""),
        ({"source": "de", "target": "de", "entries": "a\tb"}, "dictionaries", "de-de is no pair"),
    ],
)
def test_what_cannot_be_a_glossary_is_refused_by_name(client, dictionary, field, message):
    answer = client.post("/v1/glossaries", json={"name": "Zoo", "dictionaries": [dictionary]})

    assert answer.status_code == 400
    assert answer.json()["error"]["field"] == field
    assert message in answer.json()["error"]["message"]


def test_limits_are_settings(models, tmp_path):
    settings = Settings(data=tmp_path, max_glossary_entries=1, max_glossaries=1)
    one = {"name": "One", "dictionaries": [{**DE_EN, "entries": "a\tb"}]}
    with TestClient(create_app(settings, models)) as client:
        too_long = client.post("/v1/glossaries", json=ANIMALS)
        assert client.post("/v1/glossaries", json=one).status_code == 201
        too_many = client.post("/v1/glossaries", json=one)

    assert too_long.json()["error"]["message"] == "2 entries exceed 1"
    assert too_long.json()["error"]["limit"] == 1
    assert too_many.json()["error"]["message"] == "there are 1 glossaries already"


def test_request_uses_a_glossary_by_its_id(client, models, animals):
    body = {"text": "Hund", "source": "de", "target": "en", "glossary": animals.rpartition("/")[2]}

    assert client.post("/v1/translate", json=body).status_code == 200
    assert models.options[-1].terms == (Term("Hund", "dog"), Term("Katze", "cat"))


def test_glossaries_belong_to_the_key_that_laid_them_down(keyed):
    mine, other = (
        {"Authorization": f"Bearer {keyed.make('glossaries', 'translate')}"} for _ in range(2)
    )
    id = keyed.post("/v1/glossaries", json=ANIMALS, headers=mine).json()["id"]
    body = {"text": "Hund", "source": "de", "target": "en", "glossary": id}

    assert keyed.get("/v1/glossaries", headers=other).json() == {"glossaries": []}
    assert keyed.get(f"/v1/glossaries/{id}", headers=other).status_code == 404
    assert keyed.post("/v1/translate", json=body, headers=other).status_code == 404
    assert keyed.post("/v1/translate", json=body, headers=mine).status_code == 200
    reader = {"Authorization": f"Bearer {keyed.make('translate')}"}
    assert keyed.get("/v1/glossaries", headers=reader).status_code == 403
