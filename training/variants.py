"""The variants of a published bundle side by side: how well, how large, how fast.

Everything is measured through the service's engine, as callers will have it: one sentence at a
time, each waited for, and in bulk.

    bundle + test -> variants x (greedy, its own beam) -> BLEU, chrF, MB, ms, lines/s
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from models.bundle import Bundle, VariantName
from service.engine import EngineOptions, TranslationOptions, Translator, open_translator
from service.evaluation import evaluate
from training.corpus import HeldOut

ALONE = 100
"""Sentences that are translated one at a time."""
WARM_UP = 5
"""Sentences that do not count: what is set up for their lengths is set up once."""


@dataclass(frozen=True, slots=True)
class Row:
    """One variant with one setting of the search in one direction."""

    direction: str
    variant: VariantName
    device: str
    beam: int
    bleu: float
    chrf: float
    size_bytes: int
    """Of the variant's own files."""
    p50_seconds: float
    """One sentence at a time, as `p95_seconds`."""
    p95_seconds: float
    lines_per_second: float
    """All at once."""


OnRow = Callable[[Row], None]


def compare(
    bundle: Bundle, tests: Sequence[HeldOut], on_row: OnRow = lambda row: None
) -> Iterator[Row]:
    """Measure every variant in every direction, greedy and with the bundle's own beam.

    What is for GPUs runs on one, if the machine and ONNX Runtime have it, else on the CPU.
    """
    beams = sorted({1, bundle.manifest.decoding.beam})
    for test in tests:
        for name in bundle.manifest.variants:
            translator, device = _open(bundle, test, name)
            try:
                for beam in beams:
                    row = _measure(translator, bundle, test, (name, device), beam)
                    on_row(row)
                    yield row
            finally:
                translator.close()


def render_comparison(rows: Sequence[Row], title: str) -> Table:
    """Return the rows as a table for a terminal."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("pair")
    table.add_column("variant")
    table.add_column("search")
    for name in ("BLEU", "chrF2", "MB", "p50 ms", "p95 ms", "lines/s"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row.direction,
            f"{row.variant} {row.device}",
            "greedy" if row.beam == 1 else f"beam {row.beam}",
            f"{row.bleu:.1f}",
            f"{row.chrf:.1f}",
            f"{row.size_bytes / 1e6:.1f}",
            f"{1000 * row.p50_seconds:.1f}",
            f"{1000 * row.p95_seconds:.1f}",
            f"{row.lines_per_second:,.0f}",
        )
    return table


def fields_of(row: Row) -> dict[str, Any]:
    """Return a row for JSON."""
    return asdict(row)


def _open(bundle: Bundle, test: HeldOut, name: VariantName) -> tuple[Translator, str]:
    direction = (test.source, test.target)
    waiting = EngineOptions().max_waiting_tokens * 2
    if name == "fp16":
        options = EngineOptions(device="cuda", max_waiting_tokens=waiting)
        try:
            return open_translator(bundle.path, direction, variant=name, options=options), "GPU"
        except OSError:  # there is no GPU, or no build of ONNX Runtime for it
            pass
    options = EngineOptions(device="cpu", max_waiting_tokens=waiting)
    return open_translator(bundle.path, direction, variant=name, options=options), "CPU"


def _measure(
    translator: Translator, bundle: Bundle, test: HeldOut, how: tuple[VariantName, str], beam: int
) -> Row:
    options = TranslationOptions(beam=beam)
    result = evaluate(
        translator, test.sources, [test.references], options, metrics=["bleu", "chrf"]
    )
    seconds = asyncio.run(_time_alone(translator, test.sources, options))
    p50, p95 = np.quantile(seconds, (0.5, 0.95)).tolist()
    name, device = how
    return Row(
        direction=f"{test.source}-{test.target}",
        variant=name,
        device=device,
        beam=beam,
        bleu=result.metrics[0].score,
        chrf=result.metrics[1].score,
        size_bytes=sum(file.size_bytes for file in bundle.manifest.variants[name].files),
        p50_seconds=p50,
        p95_seconds=p95,
        lines_per_second=result.sentences_per_second,
    )


async def _time_alone(
    translator: Translator, sources: Sequence[str], options: TranslationOptions
) -> list[float]:
    seconds: list[float] = []
    for text in [*sources[:WARM_UP], *sources[:ALONE]]:
        started = time.perf_counter()
        await translator.translate(text, options)
        seconds.append(time.perf_counter() - started)
    return seconds[min(WARM_UP, len(sources)) :]
