"""What is measured of each variant, through the engine."""

import io

import pytest
from rich.console import Console

from training.corpus import HeldOut
from training.variants import compare, render_comparison

TEST = HeldOut("test", "de", "en", ["Guten Morgen.", "Wie geht es?"], ["Good morning.", "How?"])


@pytest.fixture(scope="module")
def rows(varied_bundle):
    return list(compare(varied_bundle, [TEST]))


def test_every_variant_is_measured_greedily_and_with_the_own_beam(rows):
    assert [(row.variant, row.beam) for row in rows] == [
        (variant, beam) for variant in ("fp32", "int8", "fp16") for beam in (1, 2)
    ]
    assert {(row.direction, row.device) for row in rows} == {("de-en", "CPU")}


def test_figures_are_those_of_the_variant(rows, varied_bundle):
    sizes = {
        name: sum(file.size_bytes for file in variant.files)
        for name, variant in varied_bundle.manifest.variants.items()
    }

    for row in rows:
        assert row.size_bytes == sizes[row.variant]
        assert 0 < row.p50_seconds <= row.p95_seconds
        assert row.lines_per_second > 0
        assert 0 <= row.bleu <= 100
        assert 0 <= row.chrf <= 100


def test_table_is_readable_in_80_columns(rows):
    console = Console(width=80, record=True, file=io.StringIO())

    console.print(render_comparison(rows, "tiny/1 on 2 sentences"))

    shown = console.export_text()
    assert "beam 2" in shown
    assert "int8 CPU" in shown
    assert all(name in shown for name in ("BLEU", "chrF2", "MB", "p50 ms", "p95 ms", "lines/s"))
    assert "\u2026" not in shown
