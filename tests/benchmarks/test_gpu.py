"""The benchmarks of a GPU and of latency run; what they measure is nothing for a test."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


def run(script: str, results: Path, *flags: str) -> dict[str, dict]:
    """Run a benchmark; return its tables by title."""
    command = [sys.executable, f"tests/benchmarks/{script}.py", "--results", str(results), *flags]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads((results / f"{script}.json").read_text(encoding="utf-8"))
    return {table["title"].split(",")[0]: table for table in report["tables"]}


def column(table: dict, name: str) -> list:
    return [row[table["columns"].index(name)] for row in table["rows"]]


def test_gpu_benchmark_runs_on_a_cpu(tmp_path):
    sizes = ["--positions", "1", "2", "--rows", "10", "20", "--peak-size", "64"]

    tables = run("gpu", tmp_path, "--device", "cpu", "--tiny", "--seconds", "0.01", *sizes)

    parity, capture = tables["Parity with fp32 on the CPU"], tables["Played back and not captured"]
    assert column(parity, "precision") == ["fp16", "fp32"]
    assert column(parity, "equal sentences %")[1] == 100
    # Nothing is captured on a CPU: both are the same runs.
    assert column(capture, "runs that differ in a bit") == [0, 0]
    speeds = tables["Target tokens a second"]
    cases = zip(*(column(speeds, name) for name in speeds["columns"][:4]), strict=True)
    assert sorted(cases) == sorted(
        (precision, search, positions, rows)
        for precision in ("fp16", "fp32")
        for search, positions in (("greedy", 1), ("greedy", 2), ("beam 5", 1))
        for rows in (10, 20)
    )
    assert min(column(speeds, "tokens/s, engine")) > 0


@pytest.mark.gpu
def test_gpu_follows_the_cpu_and_plays_back_what_it_would_compute(tmp_path):
    few = ["--tiny", "--positions", "4", "--rows", "32", "--seconds", "0.1", "--peak-size", "1024"]

    tables = run("gpu", tmp_path, *few)

    parity, capture = tables["Parity with fp32 on the CPU"], tables["Played back and not captured"]
    assert column(capture, "runs that differ in a bit") == [0, 0]
    differences = [float(each) for each in column(parity, "greatest difference")]
    assert dict(zip(column(parity, "precision"), differences, strict=True)) == {
        "fp16": pytest.approx(0, abs=0.1),
        "fp32": pytest.approx(0, abs=1e-4),
    }


def test_latency_benchmark_measures_both_modes(tmp_path):
    tables = run("latency", tmp_path, "--rounds", "1", "--sentences", "2")

    table = tables["One sentence at a time"]
    assert column(table, "mode") == ["throughput", "latency"] * 2
    assert min(column(table, "p50 ms")) > 0
