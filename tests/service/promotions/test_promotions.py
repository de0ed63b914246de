"""Promotion and the way back, of real models, with a real store, over HTTP."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from service.access import Access, AccessPolicy
from service.api import versions
from service.engine import EngineOptions, Library
from service.errors import NotFound, NotReady, StoreUnavailable
from service.evaluations import Report
from service.logs import RequestLog
from service.promotions import PromotionMode, Promotions
from service.store import Keys, PromotionRecord, PromotionTable, Store
from tests.events import TIMEOUT_SECONDS
from tests.verdicts import compared, report
from tests.versions import hold_back, publish_damaged, publish_version, weights_of

BETTER, WORSE = compared("bleu", 1.0, 0.01), compared("bleu", -1.25, 0.01)
UNREACHABLE = "postgresql://nobody@127.0.0.1:1/none"


class Table(PromotionTable):
    """One that can be out of reach, or not answer."""

    is_away = False
    may_answer: threading.Event | None = None

    def read_all(self) -> list[PromotionRecord]:
        if self.may_answer:
            assert self.may_answer.wait(TIMEOUT_SECONDS)
        if self.is_away:
            raise StoreUnavailable("away")
        return super().read_all()


class Server:
    """As much of a server as promotes, on a folder of bundles and a folder of data."""

    def __init__(
        self,
        root: Path,
        data: Path,
        mode: PromotionMode,
        address: str | None = None,
        first_read_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.reports: dict[str, Report] = {}
        options = EngineOptions(device="cpu", workers=1)
        self.library = Library(root, options, linger_seconds=0, follows_newest=mode == "newest")
        self.store = Store(data, address)
        self.table = Table(self.store)
        copy = data / "promotions.json"
        self.promotions = Promotions(
            self.library, self.table, copy, mode, self.find_report, first_read_seconds
        )
        self.app = FastAPI(lifespan=self._live)
        self.app.add_middleware(RequestLog)
        self.app.include_router(versions.router)
        self.app.state.promotions = self.promotions
        self.app.state.access = Access(AccessPolicy(), Keys(self.store))

    def find_report(self, id: str, owner: str | None) -> Report:
        if id not in self.reports:
            raise NotFound(f"there is no evaluation {id}")
        return self.reports[id]

    @asynccontextmanager
    async def _live(self, app: FastAPI) -> AsyncIterator[None]:
        self.promotions.start()
        yield
        await self.promotions.close()
        await asyncio.to_thread(self.library.close)
        self.store.close()

    def __enter__(self) -> "Server":
        self.client = TestClient(self.app, raise_server_exceptions=False)
        self.client.__enter__()
        self.library.started.result(TIMEOUT_SECONDS)
        return self

    def __exit__(self, *failure: object) -> None:
        self.client.__exit__(None, None, None)

    def step(self) -> None:
        """Do now what is done every ten seconds."""
        self.client.portal.call(self.promotions.step)

    def reload(self) -> None:
        """Look at the folder now, and wait until that is done."""
        self.library.pin(self.pins()).result(TIMEOUT_SECONDS)

    def pins(self) -> dict[str, str]:
        found = {name: self.look(name)["pinned"] for name in self.library.serving()}
        return {name: version for name, version in found.items() if version}

    def look(self, name: str = "tiny") -> dict:
        return self.client.get(f"/v1/models/{name}/versions").json()

    def states(self, name: str = "tiny") -> dict[str, str]:
        return {each["version"]: each["state"] for each in self.look(name)["versions"]}

    def promote(self, version: int, evaluation: str | None = None, name: str = "tiny"):
        body = {"version": version} | ({"evaluation": evaluation} if evaluation else {})
        return self.client.post(f"/v1/models/{name}/promote", json=body)

    def roll_back(self, name: str = "tiny"):
        return self.client.post(f"/v1/models/{name}/rollback")


@pytest.fixture
def root(tmp_path, tiny_bundle):
    publish_version(tiny_bundle, tmp_path / "bundles", 1)
    return tmp_path / "bundles"


@pytest.fixture
def serve(root, tmp_path) -> Iterator:
    with ExitStack() as stack:

        def begin(mode="evaluated", address=None, data=tmp_path / "data") -> Server:
            return stack.enter_context(Server(root, data, mode, address))

        yield begin


@pytest.fixture
def server(serve, root, tiny_bundle) -> Server:
    """One that has adopted version 1, and has seen version 2 appear."""
    server = serve()
    server.step()
    publish_version(tiny_bundle, root, 2)
    server.reload()
    server.reports["good"] = report("tiny@2", "tiny@1", BETTER)
    server.reports["bad"] = report("tiny@2", "tiny@1", WORSE)
    return server


def error(answer) -> tuple[int, str, str]:
    return answer.status_code, answer.json()["error"]["code"], answer.json()["error"]["message"]


def test_new_version_waits_as_a_candidate(server):
    assert server.states() == {"1": "serving", "2": "candidate"}
    assert server.look()["promotion"] == "evaluated"
    assert server.look()["pinned"] == "1"


def test_promoted_version_serves_when_the_call_is_answered(server):
    with server.library.hold() as models:
        answer = server.promote(2, "good")

        assert server.library.serving() == {"tiny": "2"}
        [translation] = models.find("de", "en").translate_all(["Ja."])
        assert translation.model == "tiny/1"
    assert answer.status_code == 200
    assert answer.json()["serving"] == "2"
    assert server.states() == {"1": "standby", "2": "serving"}
    [adopted, promoted] = answer.json()["history"]
    assert (adopted["action"], adopted["version"], adopted["previous"]) == ("adopted", "1", None)
    assert (promoted["action"], promoted["previous"], promoted["evaluation"]) == (
        "promoted",
        "1",
        "good",
    )


def test_version_that_is_significantly_worse_is_refused(server):
    answer = server.promote(2, "bad")

    assert error(answer) == (
        409,
        "promotion_refused",
        "tiny@2 is significantly worse than tiny@1, which serves: BLEU -1.25 (p = 0.0100)",
    )
    assert server.states() == {"1": "serving", "2": "candidate"}


def test_evaluation_must_be_named_and_there(server):
    assert error(server.promote(2)) == (
        400,
        "invalid_request",
        "evaluation: needs the id of a job that compares tiny@2 with tiny@1, which serves",
    )
    assert error(server.promote(2, "none")) == (404, "not_found", "there is no evaluation none")
    assert server.library.serving() == {"tiny": "1"}


def test_evaluation_that_is_not_done_is_told(server):
    def not_done(id: str, owner: str | None) -> Report:
        raise NotReady("the evaluation is not done")

    server.promotions._find_report = not_done

    assert error(server.promote(2, "good")) == (409, "not_ready", "the evaluation is not done")


def test_evaluation_against_what_served_before_is_refused(server, root, tiny_bundle):
    publish_version(tiny_bundle, root, 3)
    server.reports["late"] = report("tiny@3", "tiny@1", BETTER)
    server.promote(2, "good")

    assert error(server.promote(3, "late")) == (
        409,
        "promotion_refused",
        "the baseline of the evaluation is tiny@1, not tiny@2, which serves",
    )


def test_promotion_that_is_repeated_changes_nothing(server):
    first, second = server.promote(2, "good"), server.promote(2, "good")

    assert second.status_code == 200
    assert first.json() == second.json()


def test_version_or_model_that_is_not_there_is_told(server):
    assert error(server.promote(7, "good")) == (
        404,
        "unknown_model",
        "the model tiny has no version 7; it has 1, 2",
    )
    for answer in (server.promote(1, "good", name="huge"), server.roll_back("huge")):
        assert error(answer)[:2] == (404, "unknown_model")
    assert server.client.get("/v1/models/huge/versions").status_code == 404


def test_damaged_candidate_is_refused_with_its_reason(server, root, tiny_bundle):
    publish_damaged(tiny_bundle, root, 3)
    server.reload()
    server.reports["good"] = report("tiny@3", "tiny@1", BETTER)

    [*_, last] = server.look()["versions"]
    answer = server.promote(3, "good")

    assert (last["state"], last["reason"].split(" has ")[0]) == ("refused", "fp32/weights.bin")
    assert error(answer)[:2] == (409, "unusable_model")
    assert "fp32/weights.bin has 0 bytes" in error(answer)[2]
    assert server.library.serving() == {"tiny": "1"}
    assert len(server.look()["history"]) == 1


def test_candidate_that_does_not_decode_is_refused(server, root, tiny_bundle):
    publish_version(tiny_bundle, root, 3, scale=float("nan"))
    server.reports["good"] = report("tiny@3", "tiny@1", BETTER)

    assert error(server.promote(3, "good")) == (
        409,
        "unusable_model",
        "the model tiny/3 cannot be used: the model's scores are no numbers",
    )
    assert server.library.serving() == {"tiny": "1"}


def test_promotion_in_the_middle_of_a_reload_is_answered_when_it_is_honoured(
    server, root, tiny_bundle
):
    publish_version(tiny_bundle, root, 3)
    let_go = hold_back(root / "tiny" / "3")
    pool = ThreadPoolExecutor(1)

    def promote() -> None:
        # While the thread that loads examines version 3; time for an answer that comes too soon.
        answers.append(pool.submit(server.promote, 2, "good"))
        wait(answers, timeout=0.5)

    answers: list[Future] = []
    server.library.reload()
    let_go(meanwhile=promote)

    assert answers[0].result(TIMEOUT_SECONDS).json()["serving"] == "2"
    assert server.states() == {"1": "standby", "2": "serving", "3": "candidate"}
    pool.shutdown()


def test_rollback_goes_back_step_by_step(server, root, tiny_bundle):
    publish_version(tiny_bundle, root, 3)
    server.reports["next"] = report("tiny@3", "tiny@2", BETTER)
    server.promote(2, "good")
    server.promote(3, "next")

    assert server.roll_back().json()["serving"] == "2"
    assert server.states() == {"1": "standby", "2": "serving", "3": "standby"}
    assert server.roll_back().json()["serving"] == "1"
    assert error(server.roll_back()) == (
        409,
        "promotion_refused",
        "there is no version of the model tiny to go back to from 1",
    )


def test_rollback_passes_versions_that_are_gone(server, root, tiny_bundle):
    publish_version(tiny_bundle, root, 3)
    server.reports["next"] = report("tiny@3", "tiny@2", BETTER)
    server.promote(2, "good")
    server.promote(3, "next")
    server.reload()

    (root / "tiny" / "2").rename(root / ".gone")

    assert server.roll_back().json()["serving"] == "1"


def test_rollback_to_a_damaged_version_changes_nothing(server, root):
    server.promote(2, "good")
    server.reload()

    weights_of(root / "tiny" / "1").write_bytes(b"")

    assert error(server.roll_back())[:2] == (409, "unusable_model")
    assert server.library.serving() == {"tiny": "2"}


def test_restart_keeps_what_was_promoted_and_rolled_back(serve, server, root, tiny_bundle):
    server.promote(2, "good")
    server.__exit__()
    publish_version(tiny_bundle, root, 3)

    again = serve()
    assert again.states() == {"1": "standby", "2": "serving", "3": "candidate"}
    again.roll_back()
    again.__exit__()

    assert serve().library.serving() == {"tiny": "1"}


def test_names_are_promoted_independently(serve, server, root, tiny_bundle):
    for version in (1, 2):
        publish_version(tiny_bundle, root, version, name="other")
    server.reload()
    server.step()

    assert server.library.serving() == {"other": "2", "tiny": "1"}
    assert server.roll_back("other").json()["serving"] == "1"
    assert server.promote(2, "good").json()["serving"] == "2"
    server.__exit__()

    assert serve().library.serving() == {"other": "1", "tiny": "2"}


def test_rollback_holds_where_the_newest_serves_until_the_next_promotion(serve, root, tiny_bundle):
    publish_version(tiny_bundle, root, 2)
    server = serve("newest")
    assert server.look()["pinned"] is None

    assert server.roll_back().json()["serving"] == "1"
    publish_version(tiny_bundle, root, 3)
    server.reload()
    assert server.states() == {"1": "serving", "2": "standby", "3": "candidate"}
    server.__exit__()

    server = serve("newest")
    assert server.library.serving() == {"tiny": "1"}
    assert server.promote(3).json()["serving"] == "3"
    assert server.look()["pinned"] is None
    publish_version(tiny_bundle, root, 4)
    server.reload()
    assert server.library.serving() == {"tiny": "4"}


def test_older_version_may_be_chosen_where_the_newest_serves(serve, root, tiny_bundle):
    for version in (2, 3):
        publish_version(tiny_bundle, root, version)
    server = serve("newest")
    server.reports["bad"] = report("tiny@2", "tiny@3", WORSE)

    assert error(server.promote(2, "bad"))[:2] == (409, "promotion_refused")
    assert server.promote(2).json()["pinned"] == "2"
    assert server.roll_back().json()["serving"] == "3"


def test_server_that_promotes_nothing_keeps_nothing(serve, tmp_path):
    server = serve("newest")

    server.step()

    assert server.states() == {"1": "serving"}
    assert not (tmp_path / "data").exists()


def test_promotion_reaches_another_server_on_the_same_store(serve, server):
    other = serve()

    server.promote(2, "good")
    other.step()
    other.reload()

    assert other.library.serving() == {"tiny": "2"}


def test_store_that_is_unavailable_at_the_start_leaves_serving_what_was_promoted(
    serve, server, root, tiny_bundle, caplog
):
    server.promote(2, "good")
    server.__exit__()
    publish_version(tiny_bundle, root, 3)

    with caplog.at_level(logging.WARNING):
        again = serve(address=UNREACHABLE)

    assert again.states() == {"1": "standby", "2": "serving", "3": "candidate"}
    assert again.look()["trouble"] == "what was promoted cannot be read now"
    assert error(again.roll_back())[:2] == (503, "store_unavailable")
    assert again.library.serving() == {"tiny": "2"}
    told = "promotions were not read, those known last are honoured"
    assert caplog.messages.count(told) == 1


def test_store_that_is_unavailable_at_the_first_start_leaves_the_newest(
    serve, root, tiny_bundle, tmp_path
):
    publish_version(tiny_bundle, root, 2)
    server = serve(address=UNREACHABLE, data=tmp_path / "empty")

    publish_version(tiny_bundle, root, 3)
    server.reload()

    assert server.states() == {"1": "standby", "2": "serving", "3": "candidate"}
    assert server.look()["trouble"]


def test_store_that_comes_back_is_honoured(serve, server, root, tmp_path):
    server.promote(2, "good")
    server.roll_back()
    server.__exit__()
    (tmp_path / "data" / "promotions.json").unlink()

    again = Server(root, tmp_path / "data", "evaluated")
    again.table.is_away = True
    with again:
        assert (again.library.serving(), bool(again.look()["trouble"])) == ({"tiny": "2"}, True)
        again.table.is_away = False
        again.step()
        again.reload()

        assert (again.library.serving(), again.look()["trouble"]) == ({"tiny": "1"}, None)


def test_store_that_does_not_answer_holds_the_models_up_for_some_time_only(root, tmp_path):
    server = Server(root, tmp_path / "data", "evaluated", first_read_seconds=0.01)
    server.table.may_answer = threading.Event()

    with server:
        assert server.library.serving() == {"tiny": "1"}
        assert server.look()["trouble"]
        server.table.may_answer.set()


def test_store_that_goes_away_leaves_serving_what_does(server):
    server.promote(2, "good")
    server.table.is_away = True

    assert error(server.roll_back())[:2] == (503, "store_unavailable")
    assert server.library.serving() == {"tiny": "2"}
    server.table.is_away = False
    assert server.roll_back().json()["serving"] == "1"


def test_promotion_that_another_server_overtook_is_refused(server):
    server.table.add = lambda records: False

    assert error(server.promote(2, "good")) == (
        409,
        "promotion_refused",
        "another version of the model tiny was promoted meanwhile",
    )
    assert server.library.serving() == {"tiny": "1"}


def test_copy_that_is_damaged_does_not_keep_models_from_serving(serve, server, tmp_path, caplog):
    server.__exit__()
    (tmp_path / "data" / "promotions.json").write_text("[{", encoding="utf-8")

    assert serve(address=UNREACHABLE).library.serving() == {"tiny": "2"}
    assert "copy of the promotions cannot be read" in caplog.messages


@pytest.mark.postgres
def test_promotions_are_kept_in_postgresql(root, tmp_path, postgres_schema, tiny_bundle):
    with Server(root, tmp_path / "a", "evaluated", postgres_schema) as server:
        server.step()
        publish_version(tiny_bundle, root, 2)
        server.reports["good"] = report("tiny@2", "tiny@1", BETTER)
        assert server.promote(2, "good").status_code == 200

    with Server(root, tmp_path / "b", "evaluated", postgres_schema) as server:
        assert server.library.serving() == {"tiny": "2"}
        assert server.roll_back().json()["serving"] == "1"
