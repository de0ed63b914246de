"""Training: tokens a second, and how far that is from what the device can do.

    python tests/benchmarks/training_speed.py

Measures whole steps (a batch is put together, loss, gradients, clipping, optimiser, moving
average) of the published bundle's recipe and of GNMT v2's sizes, without validation. On a CPU it
takes few steps of the large one. `--tiny` shows that it works and says nothing of speed.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import torch
from measuring import alternate
from report import RESULTS, Report, Table, targets
from training_work import GNMT_LONGEST, GNMT_ROWS, GNMT_TOKENS, Learning, Sample, gnmt, published

from training.precision import DTYPES, Precision, list_halves

GNMT = "GNMT v2: LSTM 4 x 1024, 32,000 tokens"
A100_TOKENS = 140_909
"""Source and target tokens a second of NVIDIA's GNMT v2 on one A100, mixed precision."""
PEAK_REPEATS = 20


@dataclass(frozen=True)
class Speed:
    """What one network reaches in one number format."""

    network: str
    parameters: int
    precision: Precision
    samples: list[Sample]

    def median(self, figure: Callable[[Sample], float]) -> float:
        """Return the median over the rounds."""
        return median(map(figure, self.samples))

    @property
    def tokens(self) -> float:
        """Source and target tokens a second."""
        return self.median(lambda x: (x.source_tokens + x.target_tokens) / x.seconds)


def main() -> None:
    arguments = parse()
    device = torch.device(arguments.device)
    report = Report("training_speed", conditions(arguments, device))
    subjects = {"Published recipe: tatoeba-de-en-es-fr": published, GNMT: gnmt}
    if arguments.tiny:
        subjects = {"GNMT v2, tiny": partial(gnmt, 8, 500)}
    speeds: list[Speed] = []
    for name, subject in subjects.items():
        learning = Learning(subject(), device)
        works = {
            precision: partial(learning.sample, precision, arguments.seconds, time.perf_counter)
            for precision in precisions_of(arguments, device)
        }
        found = alternate(works, arguments.rounds)
        speeds += [Speed(name, learning.num_parameters, each, found[each]) for each in works]
    report.add(speed_table(speeds))
    report.add(peak_table(speeds, device, arguments.peak_size))
    if device.type == "cuda" and not arguments.tiny:
        best = max(speed.tokens for speed in speeds if speed.network == GNMT)
        measure = "tokens/s at GNMT v2's sizes, source and target"
        report.add(targets([(measure, A100_TOKENS, A100_TOKENS, best)]))
    report.finish(arguments.results)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=["cuda", "cpu"], default=default)
    parser.add_argument("--tiny", action="store_true", help="one network without any size")
    parser.add_argument("--precisions", nargs="+", choices=list(DTYPES), help="all that pay")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of a sample, at least")
    parser.add_argument("--peak-size", type=int, help="of the matrices for peaks")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


def conditions(arguments: argparse.Namespace, device: torch.device) -> dict[str, str]:
    name = torch.cuda.get_device_name() if device.type == "cuda" else "the CPU"
    return {
        "Device": f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"cuDNN {torch.backends.cudnn.version() or 'none'}",
        "Published recipe": "its network, batches and optimiser; sentences drawn by chance, 14 "
        "source tokens on average",
        "GNMT v2": f"its encoder and sizes, additive attention, this project's readout; batches of "
        f"as many tokens as {GNMT_ROWS} sentences of {GNMT_TOKENS}, at most {GNMT_LONGEST} each",
        "Measuring": f"{arguments.rounds} rounds of {arguments.seconds:g} s and more after one "
        "that does not count, precisions in turn, medians; padding counts neither as tokens nor "
        "as operations",
    }


def precisions_of(arguments: argparse.Namespace, device: torch.device) -> list[Precision]:
    """Return what was asked for, or single precision (TF32 on a GPU) and the halves."""
    halves = list_halves(device, torch.backends.cudnn.version())
    return arguments.precisions or ["fp32", *halves]


def speed_table(speeds: list[Speed]) -> Table:
    columns = ["network", "parameters", "precision", "ms a step", "tokens a step"]
    columns += ["tokens/s, source and target", "tokens/s, target"]
    rows = [
        [
            speed.network,
            speed.parameters,
            speed.precision,
            speed.median(lambda x: 1e3 * x.seconds / x.steps),
            speed.median(lambda x: (x.source_tokens + x.target_tokens) / x.steps),
            speed.tokens,
            speed.median(lambda x: x.target_tokens / x.seconds),
        ]
        for speed in speeds
    ]
    return Table("Steps of training", columns, rows)


def peak_table(speeds: list[Speed], device: torch.device, size: int | None) -> Table:
    """Hold the operations of the matrix products against a product of large matrices."""
    size = size or (8192 if device.type == "cuda" else 2048)
    peaks = {each: peak(device, each, size) for each in {speed.precision for speed in speeds}}
    rows = []
    for speed in speeds:
        reached = speed.median(lambda x: x.operations / x.seconds)
        share = 100 * reached / peaks[speed.precision]
        row = [speed.network, speed.precision, reached / 1e12, peaks[speed.precision] / 1e12]
        rows.append([*row, share])
    note = (
        "Operations: the matrix products of real tokens, forwards, and twice that backwards; "
        f"nothing elementwise, nothing recomputed. Peak: a product of {size} x {size} matrices, "
        f"the best of {PEAK_REPEATS}."
    )
    columns = ["network", "precision", "Tflop/s", "peak Tflop/s", "% of peak"]
    return Table("How far from the peak", columns, rows, note)


def peak(device: torch.device, precision: Precision, size: int) -> float:
    """Return the operations a second of a product of square matrices."""
    x, y = (torch.randn(size, size, device=device, dtype=DTYPES[precision]) for _ in range(2))
    fastest = float("inf")
    for _ in range(PEAK_REPEATS):
        began = time.perf_counter()
        product = x @ y
        product[0, 0].item()  # waits for the device
        fastest = min(fastest, time.perf_counter() - began)
    return 2 * size**3 / fastest


if __name__ == "__main__":
    main()
