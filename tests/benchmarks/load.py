"""The service under load: what it bears at most, how long answers take, what HTTP costs.

    python tests/benchmarks/load.py --source FILE

The real server runs in a process of its own and is asked over loopback. At saturation, bare
engine and server take turns, with several texts in a request and with one. Then requests
arrive by chance (Poisson), whether or not earlier ones have been answered, and each is timed
from the moment it was due: a slow server cannot slow down those who ask.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

from measuring import alternate, quantile, ratio
from published import add_arguments, choose_lines, open_engine
from report import Report, Table, targets
from server_process import serving
from traffic import Answers, Load, Rate, saturate_engine

from service.engine import TranslationOptions, Translator

LOADS = (0.5, 0.8, 1.1)
WAYS = {"engine": "bare engine", "several": "HTTP, {} texts a request", "one": "HTTP, one text"}


def main() -> None:
    arguments = parse()
    translator = open_engine(arguments, arguments.variant)
    lines, origin = choose_lines(arguments, translator.tokenizer)
    report = Report("load", conditions(arguments, translator, origin))
    options = TranslationOptions(beam=arguments.beam)
    flags = ["--device", arguments.device, "--variant", arguments.variant]
    flags += ["--workers", str(arguments.workers)] if arguments.workers else []
    with serving(arguments.bundles, *flags) as server:
        load = Load(server, lines, arguments)
        works = {
            "engine": partial(saturate_engine, translator, lines, options, arguments.seconds),
            "several": lambda: load.saturate(arguments.texts),
            "one": lambda: load.saturate(1),
        }
        rates = alternate(works, arguments.rounds)
        translator.close()
        report.add(saturation_table(rates, arguments.texts))
        report.add(overhead_targets(rates, arguments.texts))
        most = median(rate.per_second for rate in rates["one"])
        report.add(latency_table([load.arrive(share, share * most) for share in LOADS]))
    report.finish(arguments.results)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_arguments(parser, lines=5000)
    parser.add_argument("--variant", default="auto", help="of the bundle, such as fp32")
    parser.add_argument("--beam", type=int, default=1)
    parser.add_argument("--texts", type=int, default=8, help="texts in a request of several")
    parser.add_argument("--in-flight", type=int, default=512, help="texts at saturation")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5, help="of a round at saturation")
    parser.add_argument("--arrival-seconds", type=float, default=20, help="of each load")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    return parser.parse_args()


def conditions(
    arguments: argparse.Namespace, translator: Translator, origin: str
) -> dict[str, str]:
    workers = f"{arguments.workers} workers" if arguments.workers else "workers as by default"
    return {
        "Model": f"{translator.model} {'-'.join(arguments.pair)}, variant {arguments.variant}, "
        f"beam {arguments.beam}, {arguments.device}, {workers}",
        "Texts": origin,
        "Saturation": f"{arguments.in_flight} texts in flight; {arguments.rounds} rounds of "
        f"{arguments.seconds:g} s, medians; engine, server and client share the cores",
        "Arrivals": f"Poisson, one text a request, {arguments.arrival_seconds:g} s for each load",
    }


def saturation_table(rates: dict[str, list[Rate]], num_texts: int) -> Table:
    rows = []
    for name, found in rates.items():
        is_bare = name == "engine"
        rows.append(
            [
                WAYS[name].format(num_texts),
                median(rate.per_second for rate in found),
                None if is_bare else overhead(rates, name),
                median(rate.engine_ms for rate in found),
                None if is_bare else cpu_overhead(rates, name),
                None if is_bare else median(rate.client_cores for rate in found),
            ]
        )
    columns = ("way", "sentences/s", "overhead %", "CPU ms a sentence", "overhead %")
    return Table(
        "At saturation",
        (*columns, "client cores"),
        rows,
        "Overhead is what HTTP adds to the time of the bare engine for the same work: in all, the "
        "client's share of the cores included, and in CPU time of the translating process alone.",
    )


def overhead(rates: dict[str, list[Rate]], name: str) -> float:
    """Return by how many percent a sentence takes longer than with the bare engine."""
    ways = rates["engine"], rates[name]
    return 100 * (ratio(*([rate.per_second for rate in way] for way in ways)) - 1)


def cpu_overhead(rates: dict[str, list[Rate]], name: str) -> float:
    """Return by how many percent a sentence takes more CPU time than with the bare engine."""
    ways = rates[name], rates["engine"]
    return 100 * (ratio(*([rate.engine_ms for rate in way] for way in ways)) - 1)


def overhead_targets(rates: dict[str, list[Rate]], num_texts: int) -> Table:
    return targets(
        [
            (f"overhead %, {WAYS[name].format(num_texts)}", 15.0, 8.0, overhead(rates, name))
            for name in ("several", "one")
        ]
    )


def latency_table(found: Sequence[tuple[float, float, Answers, dict[str, float]]]) -> Table:
    rows = []
    for share, per_second, answers, counted in found:
        times = [None if q is None else 1000 * q for q in percentiles(answers.latencies)]
        total = len(answers.latencies) + answers.refused
        late = quantile(answers.lateness, 0.99)
        steps, computed = (
            counted["dragoman_step_seconds_count"],
            counted.get("dragoman_step_rows_total"),
        )
        useful = counted.get("dragoman_useful_rows_total")
        rows.append(
            [
                f"{share:.0%} ({per_second:.0f}/s)",
                len(answers.latencies) / answers.seconds,
                100 * answers.refused / total,
                *times,
                None if late is None else 1000 * late,
                None if computed is None else computed / steps,
                None if computed is None or useful is None else 100 * useful / computed,
            ]
        )
    columns = ("load", "answered/s", "refused %", "p50 ms", "p95 ms", "p99 ms")
    columns += ("client late p99 ms", "rows a step", "useful rows %")
    return Table(
        "Arrivals by chance, one text a request",
        columns,
        rows,
        "Loads are shares of the throughput at saturation with one text a request.",
    )


def percentiles(latencies: list[float]) -> list[float | None]:
    return [quantile(latencies, share) for share in (0.5, 0.95, 0.99)]


if __name__ == "__main__":
    main()
