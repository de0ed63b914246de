"""Decoding on a GPU: is it right, how fast is it, and how far is that from what can be had.

    python tests/benchmarks/gpu.py

Needs a machine with an NVIDIA GPU and an environment with `.[gpu-cudnn]`, onnx and rich. With
`--device cpu --tiny` it runs anywhere, which shows that it works and says nothing of speed.
"""

import argparse
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import gpu_decoding
from bench_models import MODEL_L, Sizes, work_of
from gpu_decoding import SOURCE_TOKENS, TARGET_TOKENS
from report import RESULTS, Report, Table, targets

from models.bundle import Bundle
from service.engine.cuda_batch import CudaBatch
from service.engine.cuda_graphs import CudaGraphs
from service.engine.device import Device
from service.engine.sessions import Sessions
from training.graphs import Plan, Precision

TINY = Sizes(Plan("gru", "general", encoder_layers=1, decoder_layers=1), 16, 8, 16, 16)
VOCABULARIES = {"tiny": 120, "L": 8000}
WIDTHS = {"greedy": 1, "beam 5": 5}
BYTES = {"fp32": 4, "fp16": 2}
PARITY_SENTENCES = 64


@dataclass(frozen=True)
class Speed:
    """What one way to decode reaches with so many rows."""

    precision: str
    positions: int
    search: str
    rows: int
    seconds: float
    """For one target position of all rows, by the batch alone."""
    engine: float
    """Target tokens a second through line, worker and search."""

    @property
    def sentences(self) -> int:
        """Decoded together."""
        return self.rows // WIDTHS[self.search]

    @property
    def per_second(self) -> float:
        """Target tokens a second, by the batch alone."""
        return self.sentences / self.seconds


def main() -> None:
    arguments = parse()
    report = Report("gpu", conditions(arguments))
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(arguments, Path(folder))
        report.add(bench.parity())
        report.add(bench.capture())
        speeds = list(bench.sweep())
        report.add(sweep_table(speeds))
        report.add(bench.floors(speeds))
        report.add(bench.host())
    report.add(target_table(speeds))
    report.finish(arguments.results)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--tiny", action="store_true", help="a network without any size")
    parser.add_argument("--precisions", nargs="+", default=["fp16", "fp32"])
    parser.add_argument("--positions", type=int, nargs="+", default=[1, 4, 8], help="in a run")
    parser.add_argument("--rows", type=int, nargs="+", default=[32, 128, 512, 1024])
    parser.add_argument("--seconds", type=float, default=1.0, help="of a measurement, at least")
    parser.add_argument("--peak-size", type=int, default=8192, help="of the matrices for peaks")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


def conditions(arguments: argparse.Namespace) -> dict[str, str]:
    model = "A network without any size" if arguments.tiny else "Model L of `bench_models.py`"
    return {
        "Device": device_name(arguments.device),
        "Network": f"{model}, random weights; {SOURCE_TOKENS} source tokens, "
        f"{TARGET_TOKENS} target tokens",
        "Measuring": f"{arguments.seconds:g} s and more for each figure of the batch alone, copies "
        "to and from the host included; through the engine, eight times as many sentences as fit",
    }


def device_name(device: str) -> str:
    """Return what decodes, with its driver."""
    smi = shutil.which("nvidia-smi")
    if device == "cpu" or smi is None:
        return "the CPU: this shows that the benchmark runs, and nothing of speed"
    query = [smi, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    return subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()


class Bench:
    """The networks that are measured, and what is measured of them."""

    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        self._arguments, self._folder = arguments, folder
        self._bundles: dict[str, Bundle] = {}
        self._sizes = TINY if arguments.tiny else MODEL_L
        self._vocabulary = VOCABULARIES["tiny" if arguments.tiny else "L"]

    def parity(self) -> Table:
        """Compare with single precision on the CPU."""
        reference, rows = self._open("fp32", 1, device="cpu"), []
        for precision in self._arguments.precisions:
            graphs = CudaGraphs(self._open(precision, max(self._arguments.positions)))
            found = gpu_decoding.compare(reference, graphs, PARITY_SENTENCES)
            shares = [100 * found.equal_tokens, 100 * found.equal_sentences]
            rows.append([precision, f"{found.max_difference:.1e}", *shares])
        columns = ["precision", "greatest difference", "equal tokens %", "equal sentences %"]
        return Table("Parity with fp32 on the CPU, log-probabilities", columns, rows)

    def capture(self) -> Table:
        """Compare runs that are played back with runs that are not captured."""
        rows = []
        for precision in self._arguments.precisions:
            sessions = self._open(precision, max(self._arguments.positions))
            pair = CudaGraphs(sessions), CudaGraphs(sessions, capture=False)
            differing = gpu_decoding.count_differences(*pair, self._vocabulary)
            rows.append([precision, 2 * TARGET_TOKENS, differing])
        return Table(
            "Played back and not captured", ["precision", "runs", "runs that differ in a bit"], rows
        )

    def sweep(self) -> Iterator[Speed]:
        """Measure each precision, number of positions, search and number of rows."""
        for precision in self._arguments.precisions:
            for positions in self._arguments.positions:
                graphs = CudaGraphs(self._open(precision, positions))
                for search in WIDTHS:
                    # A beam is decoded position by position, whatever a greedy run does.
                    if search == "greedy" or positions == self._arguments.positions[0]:
                        for rows in self._arguments.rows:
                            yield self._measure(graphs, precision, search, rows)

    def floors(self, speeds: list[Speed]) -> Table:
        """Hold the fastest of each precision and search against the peaks of the device."""
        rows = []
        for precision in self._arguments.precisions:
            peaks = [
                peak(self._arguments.device, precision, self._arguments.peak_size, self._folder)
                for peak in (gpu_decoding.peak_operations, gpu_decoding.peak_bytes)
            ]
            for search in WIDTHS:
                mine = [x for x in speeds if (x.precision, x.search) == (precision, search)]
                best = max(mine, key=lambda speed: speed.per_second)
                operations, size_bytes = self._needs(best)
                shares = [
                    100 * operations / best.seconds / peaks[0],
                    100 * size_bytes / best.seconds / peaks[1],
                ]
                row = [precision, search, best.rows, 1e6 * best.seconds, *shares]
                rows.append([*row, peaks[0] / 1e12, peaks[1] / 1e12])
        columns = ["precision", "search", "rows", "us a position", "% of arithmetic peak"]
        columns += ["% of memory peak", "peak Tflop/s", "peak TB/s"]
        note = (
            "Arithmetic: the matrix products of a position. Memory: the weights once, keys and "
            "memory of each sentence once. Peaks: a product and a sum of large matrices, here."
        )
        return Table("How far from the floor", columns, rows, note)

    def host(self) -> Table:
        """Measure the engine over a device that takes no time: more it cannot reach here."""
        rows = []
        positions = max(self._arguments.positions)
        for search, width in WIDTHS.items():
            for count in self._arguments.rows:
                sentences = gpu_decoding.sources(self._vocabulary, 8 * (count // width))
                batch = partial(gpu_decoding.FreeBatch, self._vocabulary, positions)
                speed = gpu_decoding.engine_tokens_a_second(batch, width, count, sentences)
                rows.append([search, count, speed])
        return Table(
            "The host alone: target tokens a second if the device took no time",
            ["search", "rows", "tokens/s, engine"],
            rows,
        )

    def _needs(self, speed: Speed) -> tuple[float, float]:
        """Return the operations and the bytes that a position cannot do without."""
        operations = 2 * work_of(self._sizes, self._vocabulary, SOURCE_TOKENS).target_token
        weights = work_of(self._sizes, self._vocabulary, positions=0).target_token
        attended = SOURCE_TOKENS * (self._sizes.attention + self._sizes.memory)
        size_bytes = BYTES[speed.precision] * (weights + speed.sentences * attended)
        return operations * speed.rows, size_bytes

    def _measure(self, graphs: CudaGraphs, precision: str, search: str, rows: int) -> Speed:
        width = WIDTHS[search]
        seconds = gpu_decoding.seconds_a_position(graphs, width, rows, self._arguments.seconds)
        sentences = gpu_decoding.sources(self._vocabulary, 8 * (rows // width))
        make_batch = partial(CudaBatch, graphs)
        engine = gpu_decoding.engine_tokens_a_second(make_batch, width, rows, sentences)
        positions = graphs.counts["greedy"] if width == 1 else 1
        return Speed(precision, positions, search, rows, seconds, engine)

    def _open(self, precision: Precision, positions: int, device: Device | None = None) -> Sessions:
        key = f"{precision}-{positions}"
        if key not in self._bundles:
            size = self._sizes, self._vocabulary
            self._bundles[key] = gpu_decoding.build(self._folder / key, *size, precision, positions)
        device = device or self._arguments.device
        return Sessions(self._bundles[key], device=device, variant=precision)


def sweep_table(speeds: list[Speed]) -> Table:
    columns = ["precision", "search", "positions in a run", "rows", "us a position"]
    columns += ["tokens/s, batch alone", "tokens/s, engine"]
    rows = [
        [x.precision, x.search, x.positions, x.rows, 1e6 * x.seconds, x.per_second, x.engine]
        for x in speeds
    ]
    return Table("Target tokens a second", columns, rows)


def target_table(speeds: list[Speed]) -> Table:
    fastest = {search: max(x.engine for x in speeds if x.search == search) for search in WIDTHS}
    return targets(
        [
            ("greedy, tokens/s through the engine", 2e5, 2e5, fastest["greedy"]),
            ("beam 5, tokens/s through the engine", 5e4, 5e4, fastest["beam 5"]),
        ]
    )


if __name__ == "__main__":
    main()
