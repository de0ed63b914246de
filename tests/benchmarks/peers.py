"""Our engine beside others: equal networks, equal lengths, sentences a second and ratios.

    python tests/benchmarks/peers.py

The first run makes an environment for each peer (about 5 GB under build/peers, some minutes);
later ones use them. A peer that cannot be installed or fails is named, never left out.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median

from measuring import alternate
from peer_contestants import OURS, PEERS, Contestant
from peer_environments import CannotInstall, prepare
from peer_process import ROOT, Failed, Process
from peer_runners.protocol import SOURCE_TOKENS, TARGET_TOKENS, VOCABULARY, WIDEST
from report import Report, Table
from rich.console import Console

CASES = [(width, batch) for width in (1, WIDEST) for batch in (1, 64)]
"""Width of the beam, sentences in a batch."""
COLUMNS = [f"{'greedy' if width == 1 else f'beam {width}'}, {batch}" for width, batch in CASES]


def main() -> None:
    arguments = parse()
    console = Console(stderr=True)
    peers = [each for each in PEERS if any(part in each.name.lower() for part in arguments.only)]
    comparison = Comparison(arguments)
    pythons: dict[str, Path] = {}
    for peer in peers:
        console.print(f"environment of {peer.label}", highlight=False)
        try:
            pythons[peer.label] = prepare(peer.environment, arguments.environments)
        except CannotInstall as reason:
            comparison.not_measured.append([peer.label, f"cannot be installed: {reason}"])
    if arguments.install:
        sys.exit("\n".join(": ".join(each) for each in comparison.not_measured) or None)
    report = Report("peers", conditions=describe(arguments))
    with comparison:
        for peer in peers:
            if peer.label in pythons:
                console.print(f"measuring {peer.label}", highlight=False)
                comparison.measure(peer, pythons[peer.label])
    comparison.show(report)
    report.finish()
    sys.exit(bool(comparison.not_measured))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--environments", type=Path, default=ROOT / "build" / "peers")
    parser.add_argument("--install", action="store_true", help="make the environments, no more")
    parser.add_argument("--only", nargs="+", default=[""], help="parts of the names of peers")
    parser.add_argument("--rounds", type=int, default=5, help="of each measurement")
    parser.add_argument("--seconds", type=float, default=0.4, help="for each measurement")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--clock",
        choices=["wall", "cpu"],
        default="wall",
        help="cpu: seconds that a system ran, for machines that are not quiet",
    )
    arguments = parser.parse_args()
    if arguments.clock == "cpu" and arguments.threads > 1:
        parser.error("--clock cpu adds up what threads did at the same time; use --threads 1")
    return arguments


def describe(arguments: argparse.Namespace) -> dict[str, str]:
    return {
        "work": f"{SOURCE_TOKENS} source tokens, {TARGET_TOKENS} target tokens forced, vocabulary "
        f"{VOCABULARY}, random weights, encoder included",
        "threads": f"{arguments.threads} for each system",
        "rounds": f"{arguments.rounds} after one that does not count, alternating between ours and "
        f"theirs, at least {arguments.seconds} s each; medians",
        "clock": {"wall": "wall", "cpu": "CPU seconds of the process"}[arguments.clock],
    }


class Comparison:
    """Ours and theirs in turn, each in its own process; ours stay, peers come and go."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._ours: dict[str, Process] = {}
        self._stack = ExitStack()
        self._facts: dict[str, dict] = {}
        self._cpu_shares: list[list[float]] = []
        self._rates: dict[str, list[list[float]]] = {}
        """By label, for each case: sentences a second of all rounds."""
        self._ratios: list[tuple[str, str, list[list[float]]]] = []
        self.not_measured: list[list[str]] = []
        """Label and reason."""

    def __enter__(self) -> None:
        self._stack.__enter__()

    def __exit__(self, *failure: object) -> None:
        self._stack.__exit__(*failure)

    def measure(self, peer: Contestant, python: Path) -> None:
        """Compare a peer with those of ours that it is to be compared with."""
        for each in peer.opponents:
            if each.label not in self._facts:
                self._start_ours(each)
        ours = {
            each.label: self._ours[each.label]
            for each in peer.opponents
            if each.label in self._ours
        }
        try:
            with Process(peer, python, self._arguments.threads) as process:
                self._hear(peer.label, process)
                self._compare(peer, ours | {peer.label: process})
        except Failed as reason:
            self.not_measured.append([peer.label, str(reason)])

    def _start_ours(self, contestant: Contestant) -> None:
        self._facts[contestant.label] = {}
        try:
            process = Process(contestant, Path(sys.executable), self._arguments.threads)
        except Failed as reason:
            self.not_measured.append([contestant.label, str(reason)])
            return
        self._ours[contestant.label] = self._stack.enter_context(process)
        self._hear(contestant.label, process)

    def _hear(self, label: str, process: Process) -> None:
        self._facts[label] = process.facts
        self._cpu_shares.append(process.cpu_shares)

    def _compare(self, peer: Contestant, processes: dict[str, Process]) -> None:
        how = self._arguments.seconds, self._arguments.clock
        found: dict[str, list[list[float]]] = {label: [] for label in processes}
        for width, batch in CASES:
            works = {
                label: partial(process.measure, width, batch, *how)
                for label, process in processes.items()
            }
            for label, rates in alternate(works, self._arguments.rounds).items():
                found[label].append(rates)
        for label, rates in found.items():
            known = self._rates.setdefault(label, [[] for _ in CASES])
            for all_rounds, new in zip(known, rates, strict=True):
                all_rounds.extend(new)
        theirs = found.pop(peer.label)
        for label, mine in found.items():
            pairs = zip(mine, theirs, strict=True)
            ratios = [[a / b for a, b in zip(*pair, strict=True)] for pair in pairs]
            self._ratios.append((label, peer.label, ratios))

    def show(self, report: Report) -> None:
        """Add the tables to a report."""
        in_order = [each for each in (*OURS.values(), *PEERS) if each.label in self._rates]
        rows = [self._row(each) for each in in_order]
        columns = ["system", "weights, M", "multiply-adds, M", *COLUMNS]
        report.add(Table("Sentences a second (search, batch)", columns, rows))
        rows = [[*labels, *map(median, ratios)] for *labels, ratios in self._ratios]
        columns = ["ours", "theirs", *COLUMNS]
        report.add(Table("Ours / theirs (search, batch)", columns, rows, self._spread()))
        if self.not_measured:
            report.add(Table("Not measured", ["system", "reason"], self.not_measured))
        for label in self._rates:
            report.versions |= self._facts[label]["versions"]

    def _row(self, contestant: Contestant) -> Sequence[str | float]:
        millions = (self._facts[contestant.label]["parameters"], contestant.multiply_adds)
        rates = self._rates[contestant.label]
        return [contestant.label, *(each / 1e6 for each in millions), *map(median, rates)]

    def _spread(self) -> str:
        ratios = [each for *_, cases in self._ratios for each in cases]
        shares = [share for each in self._cpu_shares for share in each]
        if not ratios:
            return ""
        spread = max(max(each) / min(each) for each in ratios)
        return (
            f"Medians of the rounds' ratios; within a case the largest is at most {spread:.2f} "
            f"times the smallest. Share of a CPU that a measurement got: median "
            f"{median(shares):.2f}, lowest {min(shares):.2f}."
        )


if __name__ == "__main__":
    main()
