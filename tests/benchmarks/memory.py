"""The memory of the engine: after random shapes, and while the server works on and on.

    python tests/benchmarks/memory.py --minutes 10

First a process of its own decodes batches of random shapes, greedily and with a beam, and
says how much memory it holds after 500 and after 5,000 of them. Then the real server is
kept busy with random texts and beams for a while; some callers hang up.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from statistics import mean

import numpy as np
import texts
from client import Client, render
from published import add_arguments, choose_lines, newest_bundle, open_engine
from report import Report, Table, targets
from server_process import ServerProcess, resident_mb, serving

from models.bundle import Bundle
from models.tokenizer import EOS
from service.engine import SearchOptions, Translator

COUNTS = (0, 500, 5000)
MAX_SENTENCES, MAX_SOURCE, MAX_TARGET = 32, 64, 16
WIDTHS = (1, 5)
CALLERS = 16
MAX_TEXTS = 16
HANGING_UP = 0.05
"""Share of requests whose callers do not wait for the answer."""
SAMPLES = 20


def main() -> None:
    arguments = parse()
    if arguments.only_shapes:
        tell_shapes(arguments)
        return
    bundle = newest_bundle(arguments.bundles, arguments.pair)
    conditions = {
        "Model": f"{bundle.parent.name}/{bundle.name}, {arguments.device}",
        "Random shapes": f"1 to {MAX_SENTENCES} sentences of 2 to {MAX_SOURCE} source tokens, one "
        f"length in a batch, 1 to {MAX_TARGET} target tokens, beams of {WIDTHS[0]} and {WIDTHS[1]}",
        "Soak": f"the server, {CALLERS} callers with 1 to {MAX_TEXTS} random texts each, beams 1 "
        f"to {WIDTHS[1]}; {HANGING_UP:.0%} hang up; {arguments.minutes:g} minutes",
    }
    report = Report("memory", conditions)
    found = run_shapes()
    report.add(shapes_table(found))
    growth = found[-1]["held"] - found[-2]["held"]
    report.add(targets([("growth MB, from the last count but one", 20.0, 10.0, growth)]))
    with serving(arguments.bundles, "--device", arguments.device) as server:
        report.add(soak_table(asyncio.run(soak(server, bundle, arguments))))
    report.finish(arguments.results)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_arguments(parser, lines=2000)
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS, help="of shapes")
    parser.add_argument("--minutes", type=float, default=1, help="of the soak")
    parser.add_argument("--only-shapes", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    return parser.parse_args()


def run_shapes() -> list[dict[str, float]]:
    """Let a fresh process, given the same arguments, decode random shapes; return what it said."""
    command = [sys.executable, *sys.argv, "--only-shapes"]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return [json.loads(line) for line in said.splitlines()]


def tell_shapes(arguments: argparse.Namespace) -> None:
    """Decode random shapes, and print the memory held whenever a count is reached."""
    translator = open_engine(arguments)
    random = np.random.default_rng(0)
    began = time.perf_counter()
    for done in range(max(arguments.counts) + 1):
        if done in arguments.counts:
            held, most = resident_mb(), resident_mb(name="VmHWM")
            seconds = time.perf_counter() - began
            said = {"shapes": done, "held": held, "most": most, "seconds": seconds}
            sys.stdout.write(f"{json.dumps(said)}\n")
        decode(translator, random)
    translator.close()


def decode(translator: Translator, random: np.random.Generator) -> None:
    """Decode one batch of a random shape."""
    count, length, target = (
        int(random.integers(1, most + 1)) for most in (MAX_SENTENCES, MAX_SOURCE, MAX_TARGET)
    )
    words = texts.words(translator.tokenizer)
    ids = random.integers(words.start, words.stop, (count, length))
    options = SearchOptions(width=int(random.choice(WIDTHS)), max_tokens=target)
    sources = [[*source, EOS] for source in ids.tolist()]
    for future in translator.scheduler.submit(sources, [options] * count):
        future.result()


async def soak(
    server: ServerProcess, bundle: Path, arguments: argparse.Namespace
) -> list[tuple[float, float, int]]:
    """Keep the server busy; return minutes, MB and requests so far, again and again."""
    lines, _ = choose_lines(arguments, Bundle.open(bundle).tokenizer())
    client, count = Client(server.port), 0

    async def call(seed: int) -> None:
        nonlocal count
        random = np.random.default_rng(seed)
        while True:
            chosen = random.choice(len(lines), random.integers(1, MAX_TEXTS + 1))
            beam = int(random.integers(1, WIDTHS[1] + 1))
            request = render([lines[i] for i in chosen], arguments.pair, beam=beam)
            patience = random.exponential(0.05) if random.random() < HANGING_UP else None
            with suppress(TimeoutError):
                status = await asyncio.wait_for(client.send(request), patience)
                assert status in {200, 503}, f"the server answered {status}"
            count += 1

    callers = [asyncio.create_task(call(seed)) for seed in range(CALLERS)]
    seen = [(0.0, server.resident_mb(), 0)]
    began = time.perf_counter()
    for i in range(1, SAMPLES + 1):
        due = began + 60 * arguments.minutes * i / SAMPLES
        # Ends early only if a caller failed.
        await asyncio.wait(
            callers,
            timeout=max(0.0, due - time.perf_counter()),
            return_when=asyncio.FIRST_EXCEPTION,
        )
        seen.append(((time.perf_counter() - began) / 60, server.resident_mb(), count))
    for task in callers:
        task.cancel()
    ended = await asyncio.gather(*callers, return_exceptions=True)
    client.close()
    failures = [each for each in ended if not isinstance(each, asyncio.CancelledError)]
    if failures:
        raise RuntimeError("a caller failed") from failures[0]
    return seen


def shapes_table(found: list[dict[str, float]]) -> Table:
    rows, before = [], None
    for each in found:
        growth = None if before is None else each["held"] - before
        rows.append([int(each["shapes"]), each["held"], growth, each["most"], each["seconds"]])
        before = each["held"]
    columns = ("batches", "held MB", "growth MB", "most ever MB", "seconds")
    return Table("The engine after batches of random shapes", columns, rows)


def soak_table(seen: list[tuple[float, float, int]]) -> Table:
    """Show the beginning, the middle and the end; the middle is the first half of the rest."""
    first, rest = seen[0], seen[1:]
    half = len(rest) // 2
    rows: list[list] = [["just started", first[0], first[1], first[2]]]
    for name, part in (("first half", rest[:half]), ("second half", rest[half:])):
        rows.append([f"{name}, mean", part[-1][0], mean(each[1] for each in part), part[-1][2]])
    rows.append(["end", *seen[-1]])
    note = "Held MB at 20 moments: " + ", ".join(f"{held:.0f}" for _, held, _ in rest) + "."
    columns = ("when", "minutes", "held MB", "requests so far")
    return Table("The server under steady load", columns, rows, note)


if __name__ == "__main__":
    main()
