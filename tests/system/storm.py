"""Many callers of all kinds at once; a fifth are rude: they hang up, dawdle or talk nonsense.

Every answer is compared with what it must be; what is not is a fault, and so is a wait.
"""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from urllib.parse import quote, urlencode

from tests.system.raw_http import Answer, Connection, request

CLIENTS = 64
RUDE_SHARE = 0.2
DAWDLE_SECONDS = 0.02
POLL_SECONDS = 0.05
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PAIR = {"source": "de", "target": "en"}
DEEPL = {"source_lang": "DE", "target_lang": "EN"}


class Wrong(Exception):
    """An answer is not what it must be."""


def expect(found: object, wanted: object) -> None:
    if found != wanted:
        raise Wrong(f"{found!r:.300} instead of {wanted!r:.300}")


@dataclass
class Storm:
    """What is asked of whom, and what came of it."""

    port: int
    references: Mapping[str, str]
    """The right translation of each text that is sent."""
    asked: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    """Answers that told to come again, which was done."""
    faults: list[str] = field(default_factory=list)
    slowest_seconds: float = 0.0

    async def rage(
        self, num_requests: int, seconds: float, on_progress: Callable[[int], None]
    ) -> None:
        """Send so many requests, or what there is time for; tell how far it is, twenty times."""
        deadline = time.monotonic() + seconds
        numbers = takewhile(lambda _: time.monotonic() < deadline, range(num_requests))
        every = max(1, num_requests // 20)

        async def call() -> None:
            connection = Connection(self.port)
            for number in numbers:
                await self._ask(number, connection)
                if number % every == every - 1:
                    on_progress(number + 1)
            connection.close()

        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(call())

    async def _ask(self, number: int, connection: Connection) -> None:
        chance = random.Random(number)
        kinds = RUDE if chance.random() < RUDE_SHARE else POLITE
        [kind] = chance.choices(list(kinds), list(kinds.values()))
        self.asked[kind.__name__] += 1
        began = time.monotonic()
        try:
            await kind(Caller(self, connection, chance))
        except (Wrong, OSError, EOFError, TimeoutError, ValueError, KeyError) as failure:
            self.faults.append(f"{number} {kind.__name__}: {type(failure).__name__} {failure}")
            connection.close()
        self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - began)


@dataclass
class Caller:
    """Who asks once."""

    storm: Storm
    connection: Connection
    chance: random.Random

    def texts(self, count: int) -> list[str]:
        return self.chance.choices(list(self.storm.references), k=count)

    def right(self, texts: Sequence[str]) -> list[str]:
        return [self.storm.references[text] for text in texts]

    async def ask(self, *parts: bytes, pause_seconds: float = 0.0) -> Answer:
        """Ask, and again as long as the answer is to come again."""
        while True:
            answer = await self.connection.ask(*parts, pause_seconds=pause_seconds)
            if answer.status != 503 or "retry-after" not in answer.headers:
                return answer
            self.storm.refused += 1
            await asyncio.sleep(self.chance.random() * int(answer.headers["retry-after"]))

    async def good(self, *parts: bytes, pause_seconds: float = 0.0, status: int = 200) -> Answer:
        answer = await self.ask(*parts, pause_seconds=pause_seconds)
        expect(
            (answer.status, answer.body[:0] if answer.status == status else answer.body),
            (status, b""),
        )
        return answer


def native_request(texts: Sequence[str], **others: object) -> bytes:
    return request("POST", "/v1/translate", {"text": list(texts), **PAIR, **others})


async def native(caller: Caller) -> None:
    texts = caller.texts(1)
    answer = await caller.good(native_request(texts))
    expect([each["text"] for each in answer.json()["translations"]], caller.right(texts))


async def native_many(caller: Caller) -> None:
    texts = caller.texts(4)
    answer = await caller.good(native_request(texts, priority="batch"))
    expect([each["text"] for each in answer.json()["translations"]], caller.right(texts))


async def deepl(caller: Caller) -> None:
    texts = caller.texts(2)
    fields = [("text", text) for text in texts] + list(DEEPL.items())
    answer = await caller.good(request("POST", "/v2/translate", urlencode(fields).encode(), FORM))
    expect([each["text"] for each in answer.json()["translations"]], caller.right(texts))


async def libretranslate(caller: Caller) -> None:
    [text] = texts = caller.texts(1)
    answer = await caller.good(request("POST", "/translate", {"q": text, **PAIR}))
    expect([answer.json()["translatedText"]], caller.right(texts))


async def apertium(caller: Caller) -> None:
    [text] = texts = caller.texts(1)
    path = f"/apy/translate?langpair=de%7Cen&q={quote(text)}"
    answer = await caller.good(request("GET", path))
    expect([answer.json()["responseData"]["translatedText"]], caller.right(texts))


async def stream(caller: Caller) -> None:
    [text] = texts = caller.texts(1)
    answer = await caller.good(request("POST", "/v1/translate/stream", {"text": text, **PAIR}))
    *_, last = answer.body.decode().strip().split("\n\n")
    expect(last.split("\n")[0], "event: translation")
    expect([json.loads(last.split("data: ", 1)[1])["text"]], caller.right(texts))


async def document(caller: Caller) -> None:
    texts = caller.texts(5)
    file = "\n".join(texts).encode()
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in PAIR.items()
    ]
    name = 'form-data; name="file"; filename="a.txt"'
    parts.append(f"--b\r\nContent-Disposition: {name}\r\n\r\n")
    body = "".join(parts).encode() + file + b"\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    await job(caller, request("POST", "/v1/documents", body, headers), texts)


async def batch(caller: Caller) -> None:
    texts = caller.texts(5)
    headers = {"Content-Type": "text/plain"}
    path = "/v1/batches?source=de&target=en"
    await job(caller, request("POST", path, "\n".join(texts).encode(), headers), texts)


async def job(caller: Caller, submission: bytes, texts: Sequence[str]) -> None:
    """Submit, poll, fetch, delete."""
    told = (await caller.good(submission, status=202)).json()
    while told["status"] in ("queued", "running", "translating"):
        await asyncio.sleep(POLL_SECONDS)
        told = (await caller.good(request("GET", told["poll_url"]))).json()
    expect(told["status"], "done")
    result = await caller.good(request("GET", told["result_url"]))
    expect(result.body.decode().split("\n"), caller.right(texts))
    await caller.good(request("DELETE", told["poll_url"]), status=204)


async def slow_sender(caller: Caller) -> None:
    """Sends its request in pieces, and reads late."""
    texts = caller.texts(1)
    whole = native_request(texts)
    cuts = sorted(caller.chance.sample(range(1, len(whole)), 3))
    pieces = [whole[i:j] for i, j in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    answer = await caller.good(*pieces, pause_seconds=DAWDLE_SECONDS)
    expect([each["text"] for each in answer.json()["translations"]], caller.right(texts))


async def gone_at_once(caller: Caller) -> None:
    """Hangs up without waiting for the answer."""
    connection = Connection(caller.storm.port)
    await connection.send(native_request(caller.texts(caller.chance.choice([1, 8]))))
    await asyncio.sleep(caller.chance.choice([0, DAWDLE_SECONDS]))
    connection.close()


async def gone_in_the_middle(caller: Caller) -> None:
    """Hangs up before its request is all there."""
    whole = native_request(caller.texts(1))
    connection = Connection(caller.storm.port)
    await connection.send(whole[: caller.chance.randrange(1, len(whole))])
    connection.close()


async def gone_from_a_stream(caller: Caller) -> None:
    """Hangs up when the answer has begun."""
    connection = Connection(caller.storm.port)
    [text] = caller.texts(1)
    await connection.send(request("POST", "/v1/translate/stream", {"text": text, **PAIR}))
    await asyncio.sleep(caller.chance.random() * DAWDLE_SECONDS)
    connection.close()


NONSENSE: list[tuple[int, bytes]] = [
    (400, request("POST", "/v1/translate", b"{", {"Content-Type": "application/json"})),
    (400, request("POST", "/v1/translate", b"\xff\xfe", {"Content-Type": "application/json"})),
    (400, request("POST", "/v1/translate", {"text": "a", "source": "xx", "target": "en"})),
    (400, request("POST", "/v1/translate", {"text": 1, **PAIR})),
    (400, request("POST", "/v1/translate", {"text": "a", "beam": 99, **PAIR})),
    (400, request("POST", "/v2/translate", b"text=a", FORM)),
    (400, request("POST", "/translate", {"q": "a", "source": "de"})),
    (413, request("POST", "/v1/translate", {"text": "a" * 60_000, **PAIR})),
    (404, request("GET", "/v1/nothing")),
    (404, request("GET", "/v1/documents/../../etc/passwd")),
    (405, request("DELETE", "/v1/translate")),
]
BROKEN = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/1.1\r\n\r\n",
    b"POST /v1/translate HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"POST /v1/translate HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"HELO mail\r\n\r\n",
]


async def nonsense(caller: Caller) -> None:
    """Asks for what there is not, and is told so."""
    status, sent = caller.chance.choice(NONSENSE)
    answer = await caller.ask(sent)
    expect(answer.status, status)


async def broken(caller: Caller) -> None:
    """Sends what is no HTTP, and is sent away."""
    connection = Connection(caller.storm.port)
    await connection.send(caller.chance.choice(BROKEN))
    said = await connection.read_to_end()
    connection.close()
    expect(said[:12] in (b"", b"HTTP/1.1 400"), True)


Kind = Callable[[Caller], Awaitable[None]]
POLITE: dict[Kind, float] = {
    native: 45,
    native_many: 10,
    deepl: 12,
    libretranslate: 12,
    apertium: 8,
    stream: 12.8,
    document: 0.1,
    batch: 0.1,
}
RUDE: dict[Kind, float] = {
    slow_sender: 25,
    gone_at_once: 20,
    gone_in_the_middle: 10,
    gone_from_a_stream: 10,
    nonsense: 25,
    broken: 10,
}
