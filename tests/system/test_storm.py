"""A server under tens of thousands of requests, a fifth of them rude, is as it was before.

make test-system        100,000 requests
pytest -m slow          3,000
"""

import asyncio
import json
import os
import sys
import time
from dataclasses import asdict
from itertools import product
from pathlib import Path

import pytest

from service.engine import EngineOptions, open_translator
from tests.system.storm import CLIENTS, Storm
from tests.system.watched_server import WatchedServer
from tests.versions import publish_version

pytestmark = pytest.mark.slow

NUM_REQUESTS = int(os.environ.get("STORM_REQUESTS", "3000"))
MAX_SECONDS = float(os.environ.get("STORM_SECONDS", "3600"))
WARM_UP = 1_000
"""After which a server has loaded all that it loads late, and memory should stay as it is."""
MAX_GROWTH_MB = 30.0
MAX_CONNECTIONS = 25
"""To the database, which are opened as they are wanted and kept: 20 by DBOS, 5 by us."""
MAX_NEW_THREADS = min(32, (os.cpu_count() or 1) + 4)
"""asyncio's pool begins threads as it wants them, up to so many, and keeps them."""
SUBJECTS = ("Das Haus", "Ein Hund", "Die Katze", "Der Mann", "Guten Morgen, sie")
VERBS = ("ist klein.", "sieht zwei!", "geht es gut?", "ist schön.")
ENDS = ("", "", " Wie geht es?", " {name} und <b>ihn</b>.")
TEXTS = [f"{' '.join(parts[:2])}{parts[2]}" for parts in product(SUBJECTS, VERBS, ENDS)]


@pytest.fixture(scope="module")
def references(tiny_bundle) -> dict[str, str]:
    """What the engine itself says, each text alone."""
    translator = open_translator(
        tiny_bundle.path, ("de", "en"), options=EngineOptions(device="cpu", workers=1)
    )
    found = {text: next(translator.translate_all([text])).text for text in TEXTS}
    translator.close()
    # A network that knows nothing may write line ends, which files of lines make spaces of.
    return {text: found[text] for text in found if len(found[text].splitlines()) == 1}


def rage(
    server: WatchedServer, references: dict[str, str], count: int
) -> tuple[Storm, list[float]]:
    storm, resident = Storm(server.port, references), [server.resident_mb()]
    note = lambda _: resident.append(server.resident_mb())  # noqa: E731
    asyncio.run(storm.rage(count, MAX_SECONDS, note))
    return storm, resident


def test_storm_leaves_no_trace_and_no_wrong_answer(tmp_path, tiny_bundle, references):
    publish_version(tiny_bundle, tmp_path / "bundles", 1)

    with WatchedServer(tmp_path, tmp_path / "bundles", cache_sentences="30") as server:
        rage(server, references, WARM_UP)
        before = server.holdings()
        began = time.monotonic()
        storm, resident = rage(server, references, NUM_REQUESTS)
        seconds = time.monotonic() - began
        after = server.holdings()
        events = [each for each in server.events() if each["level"] == "error"]
        status = server.end()

    figures = {
        "requests": sum(storm.asked.values()),
        "seconds": round(seconds),
        "asked": dict(storm.asked),
        "told to come again": storm.refused,
        "slowest, seconds": round(storm.slowest_seconds, 2),
        "before": asdict(before),
        "after": asdict(after),
        "resident MB at each twentieth": [round(each, 1) for each in resident],
    }
    text = json.dumps(figures, indent=1)
    sys.stdout.write(text + "\n")  # `pytest -s` shows it
    if results := os.environ.get("STORM_RESULTS"):
        Path(results).write_text(text + "\n", encoding="utf-8")
    assert storm.faults == []
    assert sum(storm.asked.values()) == NUM_REQUESTS
    assert events == []
    assert status == 0
    assert (after.decoding_rows, after.waiting) == (0, 0)
    assert (after.database_rows, after.job_files) == (before.database_rows, before.job_files)
    connections = {name for name in after.files if name.endswith(".sqlite")}
    assert sum(after.files[name] for name in connections) <= MAX_CONNECTIONS, after.files
    others = [
        sum(n for name, n in each.files.items() if name not in connections)
        for each in (before, after)
    ]
    assert others[1] <= others[0] + 2, (before.files, after.files)
    assert after.threads <= before.threads + MAX_NEW_THREADS
    assert {n: c for n, c in after.objects.items() if c > before.objects[n] + CLIENTS} == {}
    assert after.resident_mb <= before.resident_mb + MAX_GROWTH_MB
