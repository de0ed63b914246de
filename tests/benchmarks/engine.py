"""The engine alone: how many sentences a second, and how far that is from what can be had.

    python tests/benchmarks/engine.py --source FILE

Sentences of 14 source tokens become exactly 16 target tokens in a network of random weights
(model L of `bench_models.py`): graphs, batch and search are the engine's own, without queue
or server. Then a published bundle translates real text, one by one and all at once.
"""

import argparse
import itertools
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from statistics import median

from bench_models import MODEL_L, build_bundle, work_of
from forced_decoding import SOURCE_TOKENS, TARGET_TOKENS, Case, ForcedDecoding, Sample
from measuring import alternate, ratio, seconds_of
from published import add_arguments, choose_lines, newest_bundle, open_engine
from report import Report, Table, targets
from roofline import BYTES, Roofline, measure

from models.bundle import Bundle
from service.engine import TranslationOptions, Translator

VOCABULARY = 8000
BATCHES = (1, 4, 16, 64, 256)
WIDTHS = (1, 5)
WORKERS = (1, 2)
SEARCH = {1: "greedy", 5: "beam 5"}
REAL_TEXT_ROUNDS = 3

Samples = dict[Case, list[Sample]]


def main() -> None:
    arguments = parse()
    report = Report("engine", conditions(arguments))
    with tempfile.TemporaryDirectory() as folder:
        bundle = build_bundle(Path(folder), MODEL_L, VOCABULARY)
        has = [each for each in arguments.variants if each in bundle.manifest.variants]
        roofs = {each: measure(each, step_weights(), Path(folder)) for each in has}
        samples: Samples = {}
        # CPU time does not show what two workers take from each other.
        workers = (1,) if arguments.cpu_time else WORKERS
        clock = time.thread_time if arguments.cpu_time else time.perf_counter
        decoding = ForcedDecoding(bundle, VOCABULARY, arguments.seconds, clock)
        for batch, width in itertools.product(arguments.batches, WIDTHS):
            cases = [Case(v, width, batch, w) for v in has for w in workers]
            works = {case: partial(decoding.sample, case) for case in cases}
            samples |= alternate(works, arguments.rounds)
    report.add(speed_table(samples, arguments.batches))
    report.add(workers_table(samples, arguments.batches))
    report.add(time_table(samples, roofs))
    report.add(target_table(samples, roofs))
    report.add(real_text_table(arguments))
    report.finish(arguments.results)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--variants", nargs="+", default=["fp32", "int8"])
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES, help="in sentences")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="of a sample, at least")
    parser.add_argument(
        "--cpu-time", action="store_true", help="for a machine with other work: seconds of CPU"
    )
    add_arguments(parser, lines=500)
    parser.add_argument("--beams", type=int, nargs="+", default=[1, 4], help="for real text")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    return parser.parse_args()


def conditions(arguments: argparse.Namespace) -> dict[str, str]:
    return {
        "Model L": f"embeddings 512, two bidirectional GRU layers of 256, one GRU layer of 512, "
        f"general attention, {VOCABULARY:,} tokens, random weights; "
        f"{SOURCE_TOKENS} source tokens, {TARGET_TOKENS} target tokens, encoder included",
        "Seconds": "of CPU, one worker only" if arguments.cpu_time else "of the clock",
        "Measuring": f"{arguments.rounds} rounds after one that does not count, variants and "
        f"workers in turn, {arguments.seconds:g} s and more for each, medians; "
        "one thread for each worker",
    }


def step_weights() -> int:
    """Return how many weights a step reads: those of the products, attention has none."""
    return work_of(MODEL_L, VOCABULARY, positions=0).target_token


def rate(samples: Sequence[Sample]) -> float:
    return median(sample.per_second for sample in samples)


def speed_table(samples: Samples, batches: Sequence[int]) -> Table:
    rows = []
    for variant, width, workers in kinds(samples):
        found = [rate(samples[Case(variant, width, batch, workers)]) for batch in batches]
        fastest = TARGET_TOKENS * max(found)
        rows.append([variant, SEARCH[width], workers, *found, fastest])
    columns = ["variant", "search", "workers", *(f"batch {b}" for b in batches), "most tokens/s"]
    return Table("Sentences a second, model L", columns, rows)


def workers_table(samples: Samples, batches: Sequence[int]) -> Table:
    """Compare within the rounds: two workers with one, int8 with fp32."""
    rows = []

    def compare(name: str, width: int, ours: tuple[str, int], theirs: tuple[str, int]) -> None:
        pairs = [
            [
                [sample.per_second for sample in samples[Case(variant, width, batch, workers)]]
                for variant, workers in (ours, theirs)
            ]
            for batch in batches
        ]
        rows.append([name, SEARCH[width], *(ratio(*pair) for pair in pairs)])

    variants = {case.variant for case in samples}
    for variant, width in sorted({(v, k) for v, k, workers in kinds(samples) if workers == 2}):
        compare(f"{variant}: two workers / one", width, (variant, 2), (variant, 1))
    if {"fp32", "int8"} <= variants:
        for width in WIDTHS:
            compare("one worker: int8 / fp32", width, ("int8", 1), ("fp32", 1))
    return Table("Ratios", ["of", "search", *(f"batch {b}" for b in batches)], rows)


def kinds(samples: Iterable[Case]) -> list[tuple[str, int, int]]:
    return list(dict.fromkeys((case.variant, case.width, case.workers) for case in samples))


def time_table(samples: Samples, roofs: dict[str, Roofline]) -> Table:
    rows = []
    for case, found in sorted(samples.items(), key=lambda each: each[0]):
        if case.workers > 1:
            continue
        total = [sample.seconds for sample in found]
        steps = [sample.step_seconds for sample in found]
        encoder = ratio([sample.encode_seconds for sample in found], total)
        step = ratio(steps, total)
        rows.append(
            [
                case.variant,
                SEARCH[case.width],
                case.batch,
                1000 * median(sample.step_seconds / sample.steps for sample in found),
                100 * encoder,
                100 * step,
                100 * (1 - encoder - step),
                100 * arithmetic_share(case, found, roofs[case.variant]),
                100 * bandwidth_share(case, found, roofs[case.variant]),
            ]
        )
    columns = ("variant", "search", "batch", "step ms", "encoder %", "step %", "search and rest %")
    columns += ("step: % of arithmetic peak", "step: % of memory peak")
    peaks = "; ".join(
        f"{variant} {roof.operations / 1e9:.0f} G operations/s, {roof.bytes_read / 1e9:.0f} GB/s "
        f"for {step_weights() * BYTES[variant] / 1e6:.0f} MB of weights"
        for variant, roof in roofs.items()
    )
    note = f"Peaks of one thread, by products alone in the same run: {peaks}."
    return Table("Where the time goes, one worker", columns, rows, note)


def arithmetic_share(case: Case, found: Sequence[Sample], roof: Roofline) -> float:
    operations = 2 * work_of(MODEL_L, VOCABULARY).target_token * case.width * case.batch
    return operations / median(s.step_seconds / s.steps for s in found) / roof.operations


def bandwidth_share(case: Case, found: Sequence[Sample], roof: Roofline) -> float:
    size = step_weights() * BYTES[case.variant]
    return size / median(s.step_seconds / s.steps for s in found) / roof.bytes_read


def target_table(samples: Samples, roofs: dict[str, Roofline]) -> Table:
    """Set the figures against what the project is to reach on a CPU of this class."""
    speeds = [
        ("fp32", 1, 1, 85.0, 100.0),
        ("fp32", 1, 64, 480.0, 560.0),
        ("int8", 1, 1, 300.0, 400.0),
        ("int8", 1, 64, 1400.0, 1900.0),
        ("int8", 5, 1, 220.0, 330.0),
        ("int8", 5, 64, 350.0, 820.0),
    ]
    rows = [
        [f"{v} {SEARCH[k]}, batch {b}, sentences/s", must, stretch, rate(samples[case])]
        for v, k, b, must, stretch in speeds
        if (case := Case(v, k, b, 1)) in samples
    ]
    for variant, must, stretch in (("fp32", 60.0, 70.0), ("int8", 45.0, 60.0)):
        case = Case(variant, 1, 64, 1)
        if case in samples:
            share = 100 * arithmetic_share(case, samples[case], roofs[variant])
            rows.append([f"{variant} greedy, batch 64, % of arithmetic", must, stretch, share])
    case = Case("fp32", 1, 1, 1)
    if case in samples:
        share = 100 * bandwidth_share(case, samples[case], roofs["fp32"])
        rows.append(["fp32 greedy, batch 1, % of memory", 85.0, 95.0, share])
    for variant in roofs:
        cases = [Case(variant, 1, 64, workers) for workers in (2, 1)]
        if cases[0] in samples:
            pair = [[sample.per_second for sample in samples[each]] for each in cases]
            rows.append([f"{variant} greedy, batch 64, two workers / one", 1.8, 1.95, ratio(*pair)])
    return targets(rows)


def real_text_table(arguments: argparse.Namespace) -> Table:
    """Measure a published bundle, the variants in turn."""
    bundle = Bundle.open(newest_bundle(arguments.bundles, arguments.pair))
    has = [each for each in arguments.variants if each in bundle.manifest.variants]
    with ExitStack() as opened:
        translators = [
            opened.enter_context(closing(open_engine(arguments, variant))) for variant in has
        ]
        lines, origin = choose_lines(arguments, translators[0].tokenizer)
        ways = {"one by one": one_by_one, "all at once": all_at_once}
        rows = []
        for beam in arguments.beams:
            works = {
                (variant, way): partial(work, translator, lines, TranslationOptions(beam=beam))
                for variant, translator in zip(has, translators, strict=True)
                for way, work in ways.items()
            }
            found = alternate(works, REAL_TEXT_ROUNDS)
            for variant in has:
                alone, together = (found[variant, way] for way in ways)
                speeds = [len(lines) / median(seconds) for seconds in (alone, together)]
                rows.append([variant, str(beam), *speeds, ratio(alone, together)])
    return Table(
        f"Lines a second, {bundle.identity}",
        ("variant", "beam", *ways, "ratio"),
        rows,
        f"{'-'.join(arguments.pair)}, {origin}, {arguments.device}.",
    )


def one_by_one(translator: Translator, lines: list[str], options: TranslationOptions) -> float:
    return seconds_of(lambda: [list(translator.translate_all([x], options)) for x in lines])


def all_at_once(translator: Translator, lines: list[str], options: TranslationOptions) -> float:
    return seconds_of(lambda: list(translator.translate_all(lines, options)))


if __name__ == "__main__":
    main()
