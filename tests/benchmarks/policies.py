"""Ways of putting sentences into batches, side by side: throughput and waiting.

    python tests/benchmarks/policies.py         # random weights, forced lengths
    python tests/benchmarks/policies.py --bundles FOLDER --pair de-en --source FILE
    python tests/benchmarks/policies.py --joins 0 0.25 0.5 1 --lengths 1.2 1.5 3 --patience 8

All decode with the same graphs on one thread, the service's own scheduler among them; its
`Policy` is what the last line varies. In the first table so many sentences are in flight that
batches can always be full, and what counts is CPU time, for there is always something to do;
in the others they arrive by chance, at shares of what whole batches can do at most.
"""

import argparse
import itertools
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import texts
from batching import LOOPS, Loop, Rows
from bench_models import MODEL_L, SPECIALS, build_bundle
from measuring import alternate, quantile, ratio
from prometheus_client import REGISTRY
from published import as_pair, newest_bundle
from report import Report, Table

from models.bundle import Bundle
from models.tokenizer import EOS
from service.engine.hypothesis import Hypothesis, SearchOptions
from service.engine.onnx_batch import OnnxBatch
from service.engine.policy import Policy
from service.engine.scheduler import Scheduler
from service.engine.sessions import Sessions

PLAIN = "whole batches, wait for the longest"
UNBOUNDED = 10**9


@dataclass(frozen=True)
class Request:
    """What is submitted."""

    source: Sequence[int]
    options: SearchOptions


class Ours:
    """The scheduler of the service; see `Loop`."""

    def __init__(self, sessions: Sessions, rows: int, policy: Policy, name: str) -> None:
        self._scheduler = Scheduler(
            partial(OnnxBatch, sessions),
            workers=1,
            max_rows=rows,
            max_waiting_tokens=UNBOUNDED,
            model=name,
            policy=policy,
        )
        self._labels = {"model": name}

    @property
    def rows(self) -> Rows:
        """What steps computed so far."""
        names = ("dragoman_step_rows_total", "dragoman_useful_rows_total")
        return Rows(*(REGISTRY.get_sample_value(name, self._labels) or 0.0 for name in names))

    def submit(self, request: Request) -> Future[list[Hypothesis]]:
        """Queue one sentence."""
        return self._scheduler.submit([request.source], [request.options])[0]

    def close(self) -> None:
        """Finish what was submitted."""
        self._scheduler.close()


@dataclass(frozen=True)
class Throughput:
    """What went through while batches could always be full."""

    per_second: float
    per_cpu_second: float
    useful: float


def main() -> None:
    """Run the benchmark."""
    arguments = parse()
    report = Report("policies", conditions(arguments))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bundle, requests = prepare(arguments, folder)
        for variant in arguments.variants:
            for table in compare(Sessions(bundle, variant=variant), requests, arguments):
                report.add(replace(table, title=f"{variant}: {table.title}"))
    report.finish(arguments.results)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--variants", nargs="+", default=["fp32", "int8"])
    parser.add_argument("--bundles", type=Path, help="folder of bundles; none: random weights")
    parser.add_argument("--pair", type=as_pair, default=("de", "en"), help="such as de-en")
    parser.add_argument("--source", type=Path, help="file of real source lines; none: by chance")
    parser.add_argument("--lines", type=int, default=2000, help="how many of them")
    parser.add_argument("--rows", type=int, default=64, help="of a batch, at most")
    parser.add_argument("--in-flight", type=int, default=256, help="sentences at saturation")
    parser.add_argument("--loads", type=float, nargs="*", default=[0.5, 0.8, 1.1])
    parser.add_argument("--seconds", type=float, default=3.0, help="of a sample")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--joins", type=float, nargs="+", default=[Policy().join_ratio])
    parser.add_argument("--lengths", type=float, nargs="+", default=[Policy().length_ratio])
    parser.add_argument("--patience", type=int, default=Policy().join_patience)
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    return parser.parse_args()


def conditions(arguments: argparse.Namespace) -> dict[str, str]:
    """Say what else the figures depend on."""
    lengths = "4 to 40 source tokens, 14 on average"
    forced = f"{lengths}, 1.05 times as many target tokens, give or take 15 %"
    return {
        "Sentences": arguments.source.name
        if arguments.source
        else f"drawn by chance: {lengths if arguments.bundles else forced}",
        "Network": "a bundle" if arguments.bundles else "model L, 8,000 tokens, random weights",
        "Measuring": f"greedy, one thread, at most {arguments.rows} rows; "
        f"{arguments.in_flight} sentences in flight at saturation; {arguments.rounds} rounds of "
        f"{arguments.seconds:g} s after one that does not count, policies in turn, medians",
        "Service": f"patience of {arguments.patience} turns",
    }


def prepare(arguments: argparse.Namespace, folder: Path) -> tuple[Bundle, list[Request]]:
    """Open a bundle, or make one, and what is to be translated."""
    if not arguments.bundles:
        return build_bundle(folder / "bundle", MODEL_L), list(random_requests(arguments.lines))
    bundle = Bundle.open(newest_bundle(arguments.bundles, arguments.pair))
    tokenizer, target = bundle.tokenizer(), arguments.pair[1]
    tag = bundle.manifest.target_tags.get(target)
    prefix = [] if tag is None else [tokenizer.tag_id(tag)]
    lines = (
        texts.read(arguments.source, arguments.lines)
        if arguments.source
        else texts.generate(tokenizer, arguments.lines)
    )
    limit = bundle.manifest.decoding.max_source_tokens
    sources = [[*prefix, *tokenizer.encode(line)[:limit], EOS] for line in lines]
    return bundle, [Request(s, SearchOptions(max_tokens=2 * len(s) + 10)) for s in sources]


def random_requests(count: int) -> Iterator[Request]:
    """Draw sentences without meaning; each gets exactly as many tokens as it may."""
    random = np.random.default_rng(0)
    for length in texts.source_lengths(count, random).tolist():
        num_tokens = max(2, round(1.05 * length * random.normal(1, 0.15)))
        source = random.integers(SPECIALS, 8000, length).tolist()
        yield Request(source, SearchOptions(max_tokens=num_tokens))


def compare(
    sessions: Sessions, requests: Sequence[Request], arguments: argparse.Namespace
) -> Iterator[Table]:
    """Measure all policies with one rendering of the network."""
    with ExitStack() as stack:
        contestants = start(sessions, arguments)
        for contestant in contestants.values():
            stack.callback(contestant.close)
        found = alternate(
            {
                name: partial(saturate, contestant, itertools.cycle(requests), arguments)
                for name, contestant in contestants.items()
            },
            arguments.rounds,
        )
        yield throughput_table(found)
        plain = median(each.per_second for each in found[PLAIN])
        chosen = {name: contestants[name] for name in with_latency(arguments)}
        for share in arguments.loads:
            waits = alternate(
                {
                    name: partial(arrive, contestant, requests, share * plain, arguments.seconds)
                    for name, contestant in chosen.items()
                },
                arguments.rounds,
            )
            yield latency_table(share, share * plain, waits)


def start(sessions: Sessions, arguments: argparse.Namespace) -> dict[str, Loop | Ours]:
    """Make all contestants, by name."""
    contestants: dict[str, Loop | Ours] = {
        name: Loop(OnnxBatch(sessions, 1), arguments.rows, rule) for name, rule in LOOPS.items()
    }
    for join, near in itertools.product(arguments.joins, arguments.lengths):
        name = ours(join, near)
        policy = Policy(
            max_wait_seconds=UNBOUNDED,
            join_ratio=join,
            join_patience=arguments.patience,
            length_ratio=near,
        )
        contestants[name] = Ours(sessions, arguments.rows, policy, name)
    return contestants


def ours(join_ratio: float, length_ratio: float) -> str:
    """Name a variant of the service's scheduler."""
    return f"service: join {join_ratio:g}, lengths {length_ratio:g}"


def with_latency(arguments: argparse.Namespace) -> list[str]:
    """Name those whose waits are worth the time that it takes."""
    variants = itertools.product(arguments.joins, arguments.lengths)
    loops = [name for name, rule in LOOPS.items() if rule.is_of_interest]
    return [*loops, *(ours(*each) for each in variants)]


def saturate(
    contestant: Loop | Ours, requests: Iterator[Request], arguments: argparse.Namespace
) -> Throughput:
    """Keep so many sentences in flight for some time."""
    done, is_over, left = 0, False, threading.Semaphore(0)

    def come_again(_: Future[list[Hypothesis]]) -> None:
        nonlocal done
        done += 1
        if is_over:
            left.release()
        else:
            contestant.submit(next(requests)).add_done_callback(come_again)

    for _ in range(arguments.in_flight):
        contestant.submit(next(requests)).add_done_callback(come_again)
    time.sleep(arguments.seconds / 5)
    began, cpu, before, rows = time.perf_counter(), time.process_time(), done, contestant.rows
    time.sleep(arguments.seconds)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    count, after = done - before, contestant.rows
    is_over = True
    for _ in range(arguments.in_flight):
        left.acquire()
    return Throughput(count / seconds, count / cpu, (after - rows).useful_share)


def arrive(
    contestant: Loop | Ours, requests: Sequence[Request], per_second: float, seconds: float
) -> list[float]:
    """Let sentences arrive by chance; return how long each took, from when it was due."""
    random = np.random.default_rng(0)
    latencies: list[float] = []
    futures = []
    began = time.perf_counter()
    due = began + random.exponential(1 / per_second)
    for request in itertools.cycle(requests):
        if due > began + seconds:
            break
        time.sleep(max(0.0, due - time.perf_counter()))
        future = contestant.submit(request)
        future.add_done_callback(lambda _, due=due: latencies.append(time.perf_counter() - due))
        futures.append(future)
        due += random.exponential(1 / per_second)
    for future in futures:
        future.result()
    return latencies


def throughput_table(found: dict[str, list[Throughput]]) -> Table:
    """Show how many sentences go through, and beside whole batches."""
    plain = [each.per_cpu_second for each in found[PLAIN]]
    rows = [
        [
            name,
            median(each.per_second for each in figures),
            median(each.per_cpu_second for each in figures),
            ratio([each.per_cpu_second for each in figures], plain),
            100 * median(each.useful for each in figures),
        ]
        for name, figures in found.items()
    ]
    columns = ["policy", "sentences/s", "/CPU s", "x whole batches", "useful rows %"]
    return Table("Saturation", columns, rows)


def latency_table(share: float, per_second: float, waits: dict[str, list[list[float]]]) -> Table:
    """Show how long sentences took that arrived by chance."""
    rows = []
    for name, rounds in waits.items():
        pooled = [seconds for each in rounds for seconds in each]
        quantiles = (quantile(pooled, q) for q in (0.5, 0.95, 0.99))
        rows.append([name, *(None if q is None else 1000 * q for q in quantiles)])
    title = f"Arrivals by chance at {share:.0%} of whole batches: {per_second:.0f} a second"
    return Table(title, ["policy", "p50 ms", "p95 ms", "p99 ms"], rows)


if __name__ == "__main__":
    main()
