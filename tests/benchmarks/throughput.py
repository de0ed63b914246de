"""Sentences a second of a bundle: one after the other against all at once, greedy and beam.

    python tests/benchmarks/throughput.py models/bundles/NAME/VERSION de-en SOURCE --lines 500

Both ways run in one process and alternate, so that what else the machine does touches both;
the ratio is what to quote.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from service.engine import EngineOptions, TranslationOptions, Translator, open_translator

REPEATS = 3


def main() -> None:
    arguments = parse()
    lines = arguments.source.read_text(encoding="utf-8").split("\n")[: arguments.lines]
    source, target = arguments.pair.split("-")
    translator = open_translator(
        arguments.bundle, (source, target), options=EngineOptions(workers=arguments.workers)
    )
    table = Table("beam", "one by one", "all at once", "ratio", title="sentences a second")
    for beam in arguments.beams:
        alone, together = measure(translator, lines, TranslationOptions(beam=beam))
        table.add_row(str(beam), f"{alone:.0f}", f"{together:.0f}", f"{together / alone:.1f}")
    translator.close()
    console = Console()
    console.print(table)
    console.print(
        f"{translator.model}, {len(lines)} lines of {arguments.source.name}, "
        f"{arguments.workers} workers, {os.cpu_count()} cores, {platform.machine()}"
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("pair", help="such as de-en")
    parser.add_argument("source", type=Path)
    parser.add_argument("--lines", type=int, default=500)
    parser.add_argument("--beams", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    return parser.parse_args()


def measure(
    translator: Translator, lines: list[str], options: TranslationOptions
) -> tuple[float, float]:
    """Return the sentences a second of both ways."""

    def one_by_one() -> None:
        for line in lines:
            list(translator.translate_all([line], options))

    def all_at_once() -> None:
        list(translator.translate_all(lines, options))

    pairs = [(seconds(one_by_one), seconds(all_at_once)) for _ in range(REPEATS)]
    alone, together = (median(times) for times in zip(*pairs, strict=True))
    return len(lines) / alone, len(lines) / together


def seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
