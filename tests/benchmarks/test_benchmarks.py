"""The benchmarks run, and what they need to be right is right."""

import asyncio
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import texts
from client import Client
from measuring import alternate, quantile, ratio
from report import (
    README,
    RESULTS,
    Report,
    Table,
    circumstances,
    markdown,
    shown,
    verdict,
    with_results,
)
from traffic import moments

ROOT = Path(__file__).parents[2]


def run(script: str, bundle, results: Path, *flags: str) -> dict:
    """Run a benchmark on a tiny bundle; return what it wrote."""
    bundles = ["--bundles", str(bundle.path.parents[1]), "--results", str(results)]
    command = [sys.executable, f"tests/benchmarks/{script}.py", *bundles, *flags]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads((results / f"{script}.json").read_text(encoding="utf-8"))


def column(report: dict, title: str, name: str) -> list:
    table = next(table for table in report["tables"] if table["title"].startswith(title))
    return [row[table["columns"].index(name)] for row in table["rows"]]


@pytest.mark.slow
def test_engine_measures_every_search_and_number_of_workers(tiny_bundle, tmp_path):
    few = ["--variants", "fp32", "--batches", "1", "2", "--rounds", "1", "--seconds", "0.01"]

    report = run("engine", tiny_bundle, tmp_path, *few, "--lines", "4")

    cases = zip(*(column(report, "Sentences", name) for name in ("search", "workers")), strict=True)
    assert list(cases) == [("greedy", 1), ("greedy", 2), ("beam 5", 1), ("beam 5", 2)]
    assert min(column(report, "Sentences", "batch 2")) > 0
    assert min(column(report, "Lines", "all at once")) > 0


@pytest.mark.slow
def test_load_measures_engine_and_server(tiny_bundle, tmp_path):
    short = ["--rounds", "1", "--seconds", "0.3", "--arrival-seconds", "0.3", "--in-flight", "16"]

    report = run("load", tiny_bundle, tmp_path, *short, "--lines", "50")

    assert min(column(report, "At saturation", "sentences/s")) > 0
    assert min(column(report, "Arrivals", "p50 ms")) > 0
    assert 0 < min(column(report, "Arrivals", "useful rows %")) <= 100


@pytest.mark.slow
def test_memory_is_that_of_the_processes(tiny_bundle, tmp_path):
    short = ["--counts", "0", "5", "10", "--minutes", "0.02"]

    report = run("memory", tiny_bundle, tmp_path, *short)

    assert column(report, "The engine", "batches") == [0, 5, 10]
    assert min(column(report, "The engine", "held MB")) > 10  # Python alone takes that
    assert min(column(report, "The server", "held MB")) > 10
    assert column(report, "The server", "requests so far")[-1] > 0


@pytest.mark.slow
def test_policies_are_compared_at_saturation_and_at_every_load(tiny_bundle, tmp_path):
    short = ["--variants", "fp32", "--rounds", "1", "--seconds", "0.3", "--in-flight", "16"]

    report = run("policies", tiny_bundle, tmp_path, *short, "--lines", "50", "--loads", "0.5", "2")

    assert column(report, "fp32: Saturation", "useful rows %")[0] == pytest.approx(100)
    assert min(column(report, "fp32: Saturation", "sentences/s")) > 0
    assert [table["title"].partition(" of whole")[0] for table in report["tables"][1:]] == [
        "fp32: Arrivals by chance at 50%",
        "fp32: Arrivals by chance at 200%",
    ]
    assert min(column(report, "fp32: Arrivals", "p50 ms")) > 0


@pytest.mark.slow
def test_shortlists_are_measured_beside_the_whole_vocabulary(listed_bundle, tmp_path):
    few = ["--vocabularies", "2000", "--batches", "1", "3", "--rounds", "1", "--seconds", "0.01"]

    report = run("shortlist", listed_bundle, tmp_path, *few, "--lines", "4")

    assert column(report, "Decoder, 2,000 tokens", "columns") == [500, 1000, 1500] * 2
    assert min(column(report, "Encoder and decoder", "batch 3")) > 0
    assert min(column(report, "Real text", "with")) > 0


@pytest.mark.slow
def test_terms_are_measured_beside_free_translations(listed_bundle, tmp_path):
    (tmp_path / "source").write_text("Das Haus ist klein.\nIch sehe zwei Katzen.\n")
    (tmp_path / "reference").write_text("The house is small.\nI see two cats.\n")
    files = ["--source", str(tmp_path / "source"), "--reference", str(tmp_path / "reference")]

    report = run("terms", listed_bundle, tmp_path, *files, "--rounds", "1")

    assert column(report, "Terms", "terms used %") == [0, 100, 100]
    assert min(column(report, "Terms", "CPU ms a line")) > 0


def test_tables_of_the_document_are_those_of_the_results():
    text = README.read_text(encoding="utf-8")

    assert with_results(text) == text


def test_every_result_has_its_place_in_the_document():
    text = README.read_text(encoding="utf-8")

    assert [p.stem for p in RESULTS.glob("*.json") if f"<!-- {p.stem} -->" not in text] == []


def test_report_is_read_back_as_it_was_written(tmp_path):
    report = Report("speed", {"Model": "a model"})
    report.add(Table("Speed", ["way", "per second"], [["a", 1234.5], ["b", None]]))
    report.finish(tmp_path)

    text = with_results("before\n<!-- speed -->\n<!-- end -->\nafter", tmp_path)

    assert "| way | per second |\n|---|--:|\n| a | 1,234 |\n| b | - |\n" in text
    assert "Model: a model." in text
    assert text.startswith("before\n<!-- speed -->\n")
    assert text.endswith("<!-- end -->\nafter")


@pytest.mark.parametrize(("foreign", "is_warned"), [(0.15, False), (0.16, True)])
def test_figures_of_a_busy_machine_are_not_to_be_quoted(foreign, is_warned):
    report = asdict(Report("speed", {})) | {"foreign_cores": foreign}

    assert ("too much" in circumstances(report)) is is_warned


@pytest.mark.parametrize(
    ("cell", "text"),
    [(1234, "1,234"), (99.96, "100"), (99.94, "99.9"), (9.994, "9.99"), (None, "-"), ("a", "a")],
)
def test_figures_are_shown_with_three_digits(cell, text):
    assert shown(cell) == text


def test_note_stands_below_its_table():
    assert markdown(Table("T", ["a"], [[1]], "why")).endswith("| 1 |\n\nwhy\n")


@pytest.mark.parametrize(
    ("must", "stretch", "measured", "expected"),
    [
        (10, 20, 9.9, "missed"),
        (10, 20, 10, "reached"),
        (10, 20, 20, "stretch reached"),
        (15, 8, 15.1, "missed"),
        (15, 8, 15, "reached"),
        (15, 8, 8, "stretch reached"),
    ],
)
def test_less_is_better_where_the_stretch_is_less(must, stretch, measured, expected):
    assert verdict(must, stretch, measured) == expected


def test_works_take_turns_and_the_first_round_does_not_count():
    calls = []

    def work(name: str) -> int:
        calls.append(name)
        return len(calls)

    found = alternate({"a": lambda: work("a"), "b": lambda: work("b")}, 2)

    assert calls == ["a", "b"] * 3
    assert found == {"a": [3, 5], "b": [4, 6]}


def test_ratio_is_taken_within_each_round():
    assert ratio([2, 30, 4], [1, 10, 4]) == 2


def test_quantile_is_exceeded_by_the_rest_only():
    assert quantile(list(range(100, 0, -1)), 0.95) == 96
    assert quantile([], 0.5) is None


def test_arrivals_come_at_the_rate_asked_for_and_irregularly():
    found = np.array(list(moments(100, 100)))

    assert len(found) == pytest.approx(10_000, rel=0.05)
    # The intervals of a Poisson process deviate from their mean by as much as their mean.
    assert np.diff(found).std() == pytest.approx(0.01, rel=0.05)


def test_source_lengths_are_within_their_bounds_and_14_on_average():
    lengths = texts.source_lengths(10_000, np.random.default_rng(0))

    assert (lengths.min(), lengths.max()) == (4, 40)
    assert lengths.mean() == pytest.approx(14, abs=0.5)


async def answer(pieces: list[bytes], requests: int = 1) -> list[int]:
    """Let a server answer in these pieces, and hang up; return what the client saw."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        client = Client(server.sockets[0].getsockname()[1])
        found = []
        async with asyncio.timeout(5):
            for _ in range(requests):
                found.append(await client.send(b"GET / HTTP/1.1\r\n\r\n"))
                # Nobody tells when a peer has hung up.
                while any(each.is_open for each in client._idle):  # noqa: ASYNC110
                    await asyncio.sleep(0)
        return found


HALF = [b"HTTP/1.1 503 Busy\r\nContent-Le", b"ngth: 4\r\n\r\nab"]


def test_client_waits_for_the_whole_body():
    assert asyncio.run(answer([*HALF, b"cd"])) == [503]
    with pytest.raises(ConnectionError):
        asyncio.run(answer(HALF))


def test_client_connects_anew_when_the_server_has_hung_up():
    assert asyncio.run(answer([*HALF, b"cd"], requests=3)) == [503] * 3
