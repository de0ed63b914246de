"""Traffic: the same lines over and over, as fast as they go through or when chance says so."""

import argparse
import asyncio
import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from client import Client, render
from prometheus_client import REGISTRY, Metric
from server_process import ServerProcess, totals

from service.engine import TranslationOptions, Translator

SENTENCES = "dragoman_sentences_total"
REFUSED_SECONDS = 0.05
"""Who was refused waits so long, at saturation."""


@dataclass(frozen=True)
class Rate:
    """What went through in a stretch of time, and the CPU time it took."""

    seconds: float
    sentences: int
    engine_seconds: float
    """CPU time of the process that translates."""
    client_seconds: float = 0.0

    @property
    def per_second(self) -> float:
        """Sentences a second."""
        return self.sentences / self.seconds

    @property
    def engine_ms(self) -> float:
        """CPU milliseconds of the translating process for each sentence."""
        return 1000 * self.engine_seconds / self.sentences

    @property
    def client_cores(self) -> float:
        """Cores that the client kept busy."""
        return self.client_seconds / self.seconds


@dataclass
class Answers:
    """What became of requests that arrived by chance."""

    latencies: list[float] = field(default_factory=list)
    """Seconds from the moment a request was due to its answer, of those translated."""
    lateness: list[float] = field(default_factory=list)
    """Seconds by which the client was late itself."""
    refused: int = 0
    seconds: float = 0.0
    """From the first arrival to the last answer."""


def saturate_engine(
    translator: Translator, lines: list[str], options: TranslationOptions, seconds: float
) -> Rate:
    """Translate as fast as the engine can, without a server."""
    found = translator.translate_all(itertools.cycle(lines), options)
    stop = time.perf_counter() + seconds / 5
    while time.perf_counter() < stop:
        next(found)  # until the batches are full
    began, cpu, count = time.perf_counter(), time.process_time(), finished(REGISTRY.collect())
    while (elapsed := time.perf_counter() - began) < seconds:
        next(found)
    cpu, count = time.process_time() - cpu, finished(REGISTRY.collect()) - count
    found.close()
    return Rate(elapsed, count, cpu)


def finished(families: Iterable[Metric]) -> int:
    """Return the sentences that an engine has translated; a text may hold several."""
    return int(totals(families).get(SENTENCES, 0))


class Load:
    """Asks one server for the translations of the same lines over and over."""

    def __init__(
        self, server: ServerProcess, lines: list[str], arguments: argparse.Namespace
    ) -> None:
        self._server = server
        self._arguments = arguments
        self._lines = lines

    def saturate(self, size: int) -> Rate:
        """Keep the server busy with requests of so many texts."""
        return asyncio.run(self._saturate(size))

    def arrive(self, share: float, per_second: float) -> tuple[float, float, Answers, Sequence]:
        """Let requests of one text arrive by chance, and see how they fare.

        Returns:
            share, requests a second, answers, and what the server counted meanwhile.
        """
        self._server.await_idle()
        before = self._server.metrics()
        answers = asyncio.run(self._arrive(per_second))
        after = self._server.metrics()
        counted = {name: after[name] - before.get(name, 0.0) for name in after}
        return share, per_second, answers, counted

    def _requests(self, size: int) -> list[bytes]:
        ask = partial(render, pair=self._arguments.pair, beam=self._arguments.beam)
        starts = range(0, len(self._lines) - size + 1, size)
        return [ask(self._lines[start : start + size]) for start in starts]

    async def _saturate(self, size: int) -> Rate:
        client, requests = Client(self._server.port), itertools.cycle(self._requests(size))

        async def ask() -> None:
            while True:
                if await client.send(next(requests)) == 503:
                    await asyncio.sleep(REFUSED_SECONDS)

        asking = [asyncio.ensure_future(ask()) for _ in range(self._arguments.in_flight // size)]
        await asyncio.sleep(self._arguments.seconds / 5)
        before = await self._look()
        await asyncio.sleep(self._arguments.seconds)
        after = await self._look()
        for task in asking:
            task.cancel()
        ended = await asyncio.gather(*asking, return_exceptions=True)
        client.close()
        failures = [each for each in ended if not isinstance(each, asyncio.CancelledError)]
        if failures:
            raise RuntimeError("the server failed") from failures[0]
        elapsed, sentences, theirs, mine = (b - a for a, b in zip(before, after, strict=True))
        return Rate(elapsed, int(sentences), theirs, mine)

    async def _look(self) -> tuple[float, float, float, float]:
        """Return the time, the sentences translated, and the CPU time of server and client."""
        counted = await asyncio.to_thread(self._server.metrics)
        sentences = counted.get(SENTENCES, 0)
        return time.perf_counter(), sentences, self._server.cpu_seconds(), time.process_time()

    async def _arrive(self, per_second: float) -> Answers:
        client, requests = Client(self._server.port), itertools.cycle(self._requests(1))
        answers, asking = Answers(), set()

        async def ask(request: bytes, due: float) -> None:
            status = await client.send(request)
            if status == 200:
                answers.latencies.append(time.perf_counter() - due)
            elif status == 503:
                answers.refused += 1
            else:
                raise RuntimeError(f"the server answered {status}")

        began = time.perf_counter()
        for moment in moments(per_second, self._arguments.arrival_seconds):
            due = began + moment
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            answers.lateness.append(time.perf_counter() - due)
            task = asyncio.create_task(ask(next(requests), due))
            asking.add(task)
        await asyncio.gather(*asking)
        answers.seconds = time.perf_counter() - began
        client.close()
        return answers


def moments(per_second: float, seconds: float) -> Iterator[float]:
    """Yield when requests arrive: independent of each other, and the same in every run."""
    random = np.random.default_rng(0)
    moment = random.exponential(1 / per_second)
    while moment < seconds:
        yield moment
        moment += random.exponential(1 / per_second)
