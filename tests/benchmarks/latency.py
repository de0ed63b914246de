"""One sentence at a time: how long it takes on one core, and when all cores work on it.

    python tests/benchmarks/latency.py

Compares the modes of the setting `mode`, each in a process of its own, for a process that has
begun to share its threads cannot go back. The two take turns.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from bench_models import MODEL_L, random_weights
from engine_side import decode
from measuring import alternate, quantile, ratio
from report import RESULTS, Report, Table

from models.bundle import Bundle, Manifest, Variant, describe_file
from models.tokenizer import EOS
from service.engine.hypothesis import SearchOptions
from service.engine.sessions import Sessions
from training.graphs import write_graphs

VOCABULARY = 8000
SOURCE_TOKENS, TARGET_TOKENS = 14, 16
SEARCH = {1: "greedy", 5: "beam 5"}
MODES = ("throughput", "latency")


def main() -> None:
    arguments = parse()
    if arguments.child:
        answer(Path(arguments.child), arguments.mode)
        return
    report = Report("latency", conditions(arguments))
    with tempfile.TemporaryDirectory() as folder:
        write_network(Path(folder))
        processes = {mode: Process(folder, mode) for mode in MODES}
        rows = []
        for width, search in SEARCH.items():
            works = {
                mode: partial(process.ask, width, arguments.sentences)
                for mode, process in processes.items()
            }
            rows += compare(search, alternate(works, arguments.rounds))
        for process in processes.values():
            process.close()
    columns = ["search", "mode", "p50 ms", "p95 ms", "p50 of throughput / p50"]
    report.add(Table("One sentence at a time, model L", columns, rows))
    report.finish(arguments.results)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--sentences", type=int, default=20, help="of a round")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--mode", choices=MODES, help=argparse.SUPPRESS)
    return parser.parse_args()


def conditions(arguments: argparse.Namespace) -> dict[str, str]:
    return {
        "Network": f"model L of `bench_models.py`, random weights, fp32, {SOURCE_TOKENS} source "
        f"tokens, {TARGET_TOKENS} target tokens; graphs, batch and search, without server",
        "Cores": str(len(os.sched_getaffinity(0))),
        "Measuring": f"{arguments.rounds} rounds of {arguments.sentences} sentences in turn, after "
        "one that does not count; the ratio is the median of those within the rounds",
    }


def compare(search: str, found: dict[str, list[list[float]]]) -> list[list[str | float | None]]:
    """Return a row for each mode, from the seconds of each sentence of each round."""
    medians = {mode: [quantile(each, 0.5) for each in rounds] for mode, rounds in found.items()}
    rows: list[list[str | float | None]] = []
    for mode in MODES:
        seconds = [each for each_round in found[mode] for each in each_round]
        times = [1e3 * quantile(seconds, share) for share in (0.5, 0.95)]
        rows.append([search, mode, *times, ratio(medians["throughput"], medians[mode])])
    return rows


class Process:
    """A process that decodes in one mode whenever it is asked to."""

    def __init__(self, folder: str, mode: str) -> None:
        command = [sys.executable, __file__, "--child", folder, "--mode", mode]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ask(self, width: int, count: int) -> list[float]:
        """Let it decode so many sentences; return the seconds of each."""
        self._process.stdin.write(f"{width} {count}\n")
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def write_network(folder: Path) -> None:
    """Write the network that both modes run."""
    write_graphs(MODEL_L.plan, random_weights(MODEL_L, VOCABULARY, seed=0), folder)


def answer(folder: Path, mode: str) -> None:
    """Decode whenever a line asks for it, in the process of one mode."""
    sessions = Sessions(as_bundle(folder), latency=mode == "latency")
    words = np.random.default_rng(0).integers(4, VOCABULARY, size=SOURCE_TOKENS - 1).tolist()
    for line in sys.stdin:
        width, count = map(int, line.split())
        options = SearchOptions(width, max_tokens=TARGET_TOKENS)
        seconds = [seconds_of(sessions, [*words, EOS], options) for _ in range(count)]
        sys.stdout.write(f"{json.dumps(seconds)}\n")
        sys.stdout.flush()


def seconds_of(sessions: Sessions, source: Sequence[int], options: SearchOptions) -> float:
    began = time.perf_counter()
    (hypothesis,) = decode(sessions, [source], options)
    assert len(hypothesis.tokens) == TARGET_TOKENS, "the search has ended early"
    return time.perf_counter() - began


def as_bundle(folder: Path) -> Bundle:
    """Return what sessions ask of a bundle."""
    names = {"encoder": "encoder.onnx", "step": "step.onnx", "weights": "weights.bin"}
    files = {name: describe_file(folder / file, folder) for name, file in names.items()}
    manifest = Manifest.model_construct(
        name="random",
        version=1,
        state=[f"state_{i}" for i in range(MODEL_L.plan.num_states)],
        variants={"fp32": Variant(**files)},
        tokenizer=SimpleNamespace(size=VOCABULARY),
    )
    return Bundle(folder, manifest)


if __name__ == "__main__":
    main()
