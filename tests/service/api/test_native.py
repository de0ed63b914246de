"""The native API before models whose translations are known."""

import asyncio
import json
from dataclasses import fields

import pytest
from starlette.testclient import TestClient

from service.api.texts import CHARACTERS_AT_ONCE
from service.app import create_app
from service.engine import (
    AlignedSpan,
    Detection,
    Markup,
    Sentence,
    Term,
    TermUse,
    Translation,
    TranslationOptions,
)
from service.errors import DeadlineExceeded, ModelFailure, Overloaded
from service.settings import Settings

TIMEOUT_SECONDS = 10


def ask(client, **body):
    return client.post("/v1/translate", json={"source": "de", "target": "en"} | body)


def test_text_comes_back_with_its_origin(client):
    answer = ask(client, text="guten Tag", alternatives=2)

    assert answer.status_code == 200
    assert answer.json() == {
        "translations": [
            {
                "text": "GUTEN TAG",
                "source": "de",
                "target": "en",
                "model": "shout/1",
                "score": -0.5,
                "finish_reason": "eos",
                "sentences": [],
                "alternatives": ["GUTEN TAG!", "GUTEN TAG!!"],
                "lost": [],
                "terms": [],
            }
        ]
    }


def test_texts_come_back_in_their_order(client):
    answer = ask(client, text=["eins", "", "drei"])

    assert [t["text"] for t in answer.json()["translations"]] == ["EINS", "", "DREI"]


def test_text_found_to_be_in_the_target_language_comes_back_as_it_is(client):
    answer = ask(client, source="auto", text=["schöner Tag", "nice day"])

    german, english = answer.json()["translations"]
    assert (german["text"], german["model"]) == ("SCHÖNER TAG", "shout/1")
    assert (english["text"], english["source"], english["model"]) == ("nice day", "en", "")


def test_no_texts_give_no_translations(client):
    assert ask(client, text=[]).json() == {"translations": []}


def test_texts_of_one_request_are_translated_at_once(client, models):
    barrier = asyncio.Barrier(3)
    models.on_translate = barrier.wait

    assert ask(client, text=["a", "b", "c"]).status_code == 200


def test_long_request_enters_the_engine_part_by_part(models):
    more_than_half = "a" * (CHARACTERS_AT_ONCE // 2 + 1)
    num_running, most_running = 0, 0

    async def count() -> None:
        nonlocal num_running, most_running
        num_running += 1
        most_running = max(most_running, num_running)
        await asyncio.sleep(0)
        num_running -= 1

    models.on_translate = count
    with TestClient(create_app(Settings(), models)) as client:
        answer = ask(client, text=[more_than_half] * 4)

    assert len(answer.json()["translations"]) == 4
    assert most_running == 1


def test_language_is_found_for_each_text_by_itself(client):
    both = [ask(client, text=["Tür", "häßlich"], source="auto", target="en")]
    both += [client.post("/v1/translate", json={"text": "door", "target": "de"})]

    sources = [[t["source"] for t in answer.json()["translations"]] for answer in both]
    assert sources == [["de", "de"], ["en"]]


def test_options_that_are_not_given_are_left_to_the_model(client, models):
    ask(client, text="a")
    ask(client, text="a", beam=3, alternatives=1, max_tokens=7)

    assert models.options == [
        TranslationOptions(beam=None, alternatives=0, max_tokens=None),
        TranslationOptions(beam=3, alternatives=1, max_tokens=7),
    ]


def test_every_option_reaches_the_translator(client, models):
    same = {
        "beam": 3,
        "length_penalty": 0.5,
        "alternatives": 2,
        "max_tokens": 7,
        "no_repeat_ngram": 3,
        "coverage_penalty": 0.25,
        "split": "lines",
        "attention": True,
        "alignment": True,
        "priority": "batch",
    }
    tags = {"ignore_tags": ["a"], "splitting_tags": ["b"], "non_splitting_tags": ["c"]}
    markup = {"format": "xml", **tags, "outline_detection": False}
    glossary = [{"source": "Tag", "target": "day"}]

    ask(client, text="a", **same, **markup, glossary=glossary, cache=False)

    wanted = TranslationOptions(
        **same,
        markup=Markup("xml", ("a",), ("b",), ("c",), outline_detection=False),
        terms=(Term("Tag", "day"),),
        use_cache=False,
    )
    assert models.options == [wanted]
    default = TranslationOptions()
    untold = {f.name for f in fields(wanted) if getattr(wanted, f.name) == getattr(default, f.name)}
    assert untold == {"deadline_seconds"}


def test_deadline_is_one_for_all_texts_however_late_they_begin(models):
    async def linger() -> None:
        await asyncio.sleep(0.01)

    models.on_translate = linger
    with TestClient(create_app(Settings(), models)) as client:
        ask(client, text=["a" * CHARACTERS_AT_ONCE] * 2, timeout=60)

    first, second = (options.deadline_seconds for options in models.options)
    assert second <= first - 0.01 < 60


def test_attention_comes_only_if_asked_for(client):
    asked, unasked = ask(client, text="a", attention=True), ask(client, text="a")

    assert asked.json()["translations"][0]["attention"] == [
        {
            "source_tokens": ["<2en>", "a", "</s>"],
            "target_tokens": ["A", "</s>"],
            "weights": [[0.1, 0.8, 0.1], [0.0, 0.0, 1.0]],
        }
    ]
    assert "attention" not in unasked.json()["translations"][0]


def test_all_that_is_known_of_a_translation_is_told(client, models):
    translation = Translation(
        text="Good day.",
        source="de",
        target="en",
        model="a/1+b/2",
        score=-0.25,
        finish_reason="length",
        alternatives=[],
        confidence=0.75,
        sentences=(Sentence((0, 10), (0, 9), -0.25, 0.75, "length"),),
        alignment=(AlignedSpan(0, 5, 0, 4), AlignedSpan(6, 9, 5, 8)),
        lost=("{x}",),
        terms=(TermUse("Tag", "day", is_used=True),),
        pivot="fr",
    )
    models.answers.append(translation)

    [told] = ask(client, text="Guten Tag.", alignment=True).json()["translations"]

    assert told == {
        "text": "Good day.",
        "source": "de",
        "target": "en",
        "pivot": "fr",
        "model": "a/1+b/2",
        "score": -0.25,
        "confidence": 0.75,
        "finish_reason": "length",
        "sentences": [
            {
                "source_span": [0, 10],
                "target_span": [0, 9],
                "score": -0.25,
                "confidence": 0.75,
                "finish_reason": "length",
            }
        ],
        "alternatives": [],
        "lost": ["{x}"],
        "terms": [{"source": "Tag", "target": "day", "is_used": True}],
        "alignment": [
            {"source_span": [0, 5], "target_span": [0, 4]},
            {"source_span": [6, 9], "target_span": [5, 8]},
        ],
    }


def test_language_that_was_found_is_told_with_its_confidence(client):
    found, given = ask(client, source="auto", text="schön"), ask(client, text="schön")

    assert found.json()["translations"][0]["detection"] == {"language": "de", "confidence": 1.0}
    assert "detection" not in given.json()["translations"][0]


def test_bug_at_one_text_stops_the_others(client, models):
    async def fail_or_wait() -> None:
        if len(models.options) == 2:
            raise RuntimeError("device lost")
        await asyncio.Event().wait()

    models.on_translate = fail_or_wait

    assert ask(client, text=["a", "b", "c"]).status_code == 500
    assert models.num_cancelled == 2


def test_text_that_fails_leaves_the_others_their_translations(client, models):
    async def be_late() -> None:
        if len(models.options) == 2:
            raise DeadlineExceeded("the deadline passed while decoding")

    models.on_translate = be_late
    answer = ask(client, text=["a", "b", "c" * 21])

    good, late, long = answer.json()["translations"]
    assert answer.status_code == 200
    assert good["text"] == "A"
    assert [late["error"]["code"], long["error"]["code"]] == ["deadline_exceeded", "text_too_long"]
    assert (long["error"]["field"], long["error"]["limit"]) == ("text.2", 20)
    assert long["error"]["request_id"] == answer.headers["X-Request-Id"]


def test_text_found_to_be_in_a_language_that_is_not_served_is_told_of_alone(client, models):
    models.detect = lambda text: Detection(language=text, confidence=1.0)

    answer = client.post("/v1/translate", json={"text": ["de", "fr"], "target": "en"})

    german, french = answer.json()["translations"]
    assert (german["text"], french["error"]["code"]) == ("DE", "unsupported_pair")


def test_texts_that_all_fail_alike_fail_the_request(client, models):
    async def refuse() -> None:
        raise Overloaded("too much is waiting", retry_after_seconds=7)

    models.on_translate = refuse
    answer = ask(client, text=["a", "b"])

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")


def test_texts_that_fail_for_different_reasons_are_told_so_one_by_one(client, models):
    async def fail() -> None:
        raise ModelFailure("decoding failed")

    models.on_translate = fail
    answer = ask(client, text=["a", "b" * 21])

    codes = [each["error"]["code"] for each in answer.json()["translations"]]
    assert (answer.status_code, codes) == (200, ["model_failure", "text_too_long"])


class Call:
    """A request for endless work, made by hand so that a test can end it."""

    def __init__(self, app, models) -> None:
        self._app = app
        self.is_translating = asyncio.Event()
        self.is_client_gone = asyncio.Event()
        self.status = None
        content = json.dumps({"text": ["a", "b"], "source": "de", "target": "en"}).encode()
        self._body = [{"type": "http.request", "body": content, "more_body": False}]
        models.on_translate = self._translate_forever

    async def make(self) -> None:
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/translate",
            "query_string": b"",
            "headers": [(b"content-type", b"application/json")],
        }
        await self._app(scope, self._receive, self._send)

    async def _translate_forever(self) -> None:
        self.is_translating.set()
        await asyncio.Event().wait()

    async def _receive(self):
        if self._body:
            return self._body.pop()
        await self.is_client_gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message) -> None:
        self.status = message.get("status", self.status)


def test_departure_of_the_client_cancels_its_work(app, models):
    async def leave() -> Call:
        call = Call(app, models)
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            group.create_task(call.make())
            await call.is_translating.wait()
            call.is_client_gone.set()
        return call

    assert asyncio.run(leave()).status == 499
    assert models.num_cancelled == 2


def test_end_of_the_grace_cancels_the_work_and_says_so(app, models):
    async def shut_down() -> Call:
        call = Call(app, models)
        async with asyncio.timeout(5):
            making = asyncio.create_task(call.make())
            await call.is_translating.wait()
            making.cancel()
            await making
        return call

    assert asyncio.run(shut_down()).status == 503
    assert models.num_cancelled == 2


def test_closed_intake_refuses_new_texts(app, client):
    app.state.intake.close()

    answer = ask(client, text="a")

    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1


def test_languages_are_listed_with_their_targets_and_what_is_between(client, models):
    models.pivots = lambda: {("en", "de"): "fr"}

    assert client.get("/v1/languages").json() == {
        "languages": [
            {"source": "de", "name": "German", "targets": ["en"], "pivots": {}},
            {"source": "en", "name": "English", "targets": ["de"], "pivots": {"de": "fr"}},
        ]
    }


def test_answer_carries_the_request_id_and_the_time_it_took(client):
    answer = client.get("/v1/languages", headers={"X-Request-Id": "mine-1"})

    assert answer.headers["X-Request-Id"] == "mine-1"
    assert answer.headers["Server-Timing"].startswith("total;dur=")


@pytest.mark.parametrize("offered", ["", "a b", "x" * 65, "<b>"])
def test_request_id_that_is_not_plain_is_replaced(client, offered):
    answer = client.get("/v1/languages", headers={"X-Request-Id": offered})

    assert len(answer.headers["X-Request-Id"]) == 32


def test_shutdown_closes_the_models(app, models):
    with TestClient(app):
        assert not models.is_closed

    assert models.is_closed


def test_bundle_is_loaded_listed_and_translates(tiny_bundle):
    text = ["Guten Morgen. Wie geht es dir?", "Das Haus"]

    app = create_app(Settings(bundles=tiny_bundle.path.parents[1], workers=1))
    with TestClient(app) as client:
        app.state.library.started.result(TIMEOUT_SECONDS)
        [model] = client.get("/v1/models").json()["models"]
        answer = ask(client, text=text, alternatives=1)
        together = answer.json()["translations"]
        alone = [ask(client, text=each, alternatives=1).json()["translations"][0] for each in text]

    assert (model["name"], model["version"], model["provider"]) == (
        "tiny",
        "1",
        "CPUExecutionProvider",
    )
    assert [t["model"] for t in together] == ["tiny/1", "tiny/1"]
    assert answer.headers["X-Model-Version"] == "tiny/1"
    assert [time.split(";")[0] for time in answer.headers["Server-Timing"].split(", ")] == [
        "total",
        "queue",
        "encode",
        "decode",
    ]
    assert together == alone


def test_sources_are_told_apart_by_the_real_detector(tiny_bundle):
    text = ["Wie geht es dir heute, mein lieber Freund?"]

    app = create_app(Settings(bundles=tiny_bundle.path.parents[1], workers=1))
    with TestClient(app) as client:
        app.state.library.started.result(TIMEOUT_SECONDS)
        [translation] = ask(client, text=text, source="auto").json()["translations"]

    assert translation["source"] == "de"
