"""A server that is told to end while many ask: whoever was heard gets a whole answer."""

import asyncio
import time
from dataclasses import dataclass

import pytest

from tests.system.raw_http import Answer, Connection, request
from tests.system.watched_server import WatchedServer
from tests.versions import publish_version

pytestmark = pytest.mark.slow

CLIENTS = 24
ANSWERS_BEFORE = 100
"""That have come when the server is told to end."""
TEXTS = ["Guten Morgen. Wie geht es dir?", "Das Haus ist klein.", "Ein Hund!"] * 4
BODY = {"text": TEXTS, "source": "de", "target": "en"}


@dataclass
class Asked:
    """A request, and what became of it: an answer, or what came of one before it broke off."""

    sent: float
    answer: Answer | None = None
    broken: bytes = b""


async def ask_until_refused(port: int, asked: list[Asked], is_enough: asyncio.Event) -> None:
    connection = Connection(port)
    try:
        while await ask(connection, asked):
            if sum(each.answer is not None for each in asked) >= ANSWERS_BEFORE:
                is_enough.set()
    finally:
        connection.close()


async def ask(connection: Connection, asked: list[Asked]) -> bool:
    """Ask once; return whether to ask again."""
    mine = Asked(time.monotonic())
    try:
        await connection.send(request("POST", "/v1/translate", BODY))
        asked.append(mine)
        mine.answer = await connection.read()
    except asyncio.IncompleteReadError as failure:
        mine.broken = failure.partial
    except ConnectionError:
        pass  # nobody listens any more
    return mine.answer is not None and mine.answer.status == 200


async def end_under_load(server: WatchedServer) -> tuple[list[Asked], float]:
    asked: list[Asked] = []
    is_enough = asyncio.Event()
    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(ask_until_refused(server.port, asked, is_enough))
        await is_enough.wait()
        told = time.monotonic()
        server.process.terminate()
    return asked, told


def test_no_accepted_request_is_lost_when_the_server_is_told_to_end(tmp_path, tiny_bundle):
    publish_version(tiny_bundle, tmp_path / "bundles", 1)
    with WatchedServer(tmp_path, tmp_path / "bundles", cache_sentences="0") as server:
        asked, told = asyncio.run(end_under_load(server))
        status = server.process.wait(60)

    before = [each for each in asked if each.sent < told]
    answers = [each.answer for each in asked if each.answer]
    good = [each.json()["translations"] for each in answers if each.status == 200]
    refused = [each for each in answers if each.status != 200]
    assert status == 0
    assert [each for each in before if each.answer is None] == []
    assert [each.broken for each in asked if each.broken] == []
    assert len(good) >= ANSWERS_BEFORE
    assert {len(each) for each in good} == {len(TEXTS)}
    assert len({str([each["text"] for each in translations]) for translations in good}) == 1
    assert {(each.status, each.headers.get("retry-after")) for each in refused} <= {(503, "1")}
    assert refused  # the test is of little worth if nobody came late
