"""What every contestant speaks: one line of JSON for each question on stdin, one for its answer.

Imported from beside the runners in environments that share nothing with the project, so it
needs the standard library only.

    -> {"width": 5, "batch": 64, "seconds": 0.5}
    <- {"sentences": 64, "seconds": [0.81], "cpu_seconds": [0.8], "lengths": [16]}
"""

import json
import os
import random
import sys
import time
from collections.abc import Callable, Sequence

VOCABULARY = 8000
SOURCE_TOKENS = 14
"""EOS included, where a system has one at the end of its sources."""
TARGET_TOKENS = 16
"""Steps of the decoder; no system may end a sentence before."""
WIDEST = 5
SPECIALS = 4
"""Ids below are those of special tokens, in no order that all systems share."""

Translate = Callable[[int, list[list[int]]], Sequence[int]]
"""Decode sources (words only, no EOS) with a beam of this width; return the targets' lengths."""


def serve(
    translate: Translate, *, versions: dict[str, str], parameters: int, parallel: int = 1
) -> None:
    """Answer until stdin ends.

    Args:
        parallel: batches that `translate` works on at the same time; so many times as many
            sentences are given to it at once.
        versions: of what decides its speed.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # What libraries print must not come between.
    os.dup2(2, 1)
    facts = {"versions": versions, "parameters": parameters}
    print(json.dumps(facts), file=answers, flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        sources = random_sources(question["batch"] * parallel)
        answer = measure(translate, question["width"], sources, question["seconds"])
        print(json.dumps(answer), file=answers, flush=True)


def measure(
    translate: Translate, width: int, sources: list[list[int]], seconds: float
) -> dict[str, object]:
    """Translate for at least so many seconds, at least once."""
    times: list[float] = []
    cpu_times: list[float] = []
    lengths: set[int] = set()
    began = time.perf_counter()
    while not times or time.perf_counter() - began < seconds:
        start, cpu_start = time.perf_counter(), time.process_time()
        found = translate(width, sources)
        cpu_times.append(time.process_time() - cpu_start)
        times.append(time.perf_counter() - start)
        assert len(found) == len(sources)
        lengths.update(found)
    return {
        "sentences": len(sources),
        "seconds": times,
        "cpu_seconds": cpu_times,
        "lengths": sorted(lengths),
    }


def random_sources(count: int) -> list[list[int]]:
    """Return sources of equal length without EOS, the same ones in every process."""
    draw = random.Random(1)
    return [
        [draw.randrange(SPECIALS, VOCABULARY) for _ in range(SOURCE_TOKENS - 1)]
        for _ in range(count)
    ]


def num_threads() -> int:
    """Return how many threads this contestant may use, its only argument."""
    return int(sys.argv[1])
