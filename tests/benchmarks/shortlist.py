"""What shortlists gain: int8 with so many columns of the output layer beside int8 with all.

    python tests/benchmarks/shortlist.py --source FILE

First networks of random weights (model L of `bench_models.py`) with vocabularies of two sizes,
where the sentences of a batch need so many columns in all. Then a published bundle that has
shortlists translates real text with and without them.
"""

import argparse
import copy
import itertools
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from bench_models import MODEL_L, build_bundle
from engine import SEARCH, all_at_once, one_by_one
from forced_decoding import Case, ForcedDecoding, Sample, random_sources
from measuring import alternate, ratio
from published import add_arguments, choose_lines, newest_bundle
from report import Report, Table

from models.bundle import Bundle
from models.shortlist import Shortlists
from models.tokenizer import EOS
from service.engine import TranslationOptions, open_translator
from service.engine.sessions import Sessions

VOCABULARIES = (8000, 16_000)
BATCHES = (1, 4, 16, 64)
COLUMNS = (500, 1000, 1500)
OWN_TOKENS = 300
"""Of one sentence, as real ones have; or more, if a batch needs more columns than that."""
ALL = "all"
WAYS = {"one by one": one_by_one, "all at once": all_at_once}

Samples = dict[Case, list[Sample]]


def main() -> None:
    arguments = parse()
    report = Report("shortlist", conditions(arguments))
    for vocabulary in arguments.vocabularies:
        samples = measure(vocabulary, arguments)
        report.add(decoder_table(vocabulary, samples, arguments.batches))
        report.add(whole_table(vocabulary, samples, arguments.batches))
    path = newest_bundle(arguments.bundles, arguments.pair)
    if has_shortlists(Bundle.open(path)):
        report.add(real_text_table(path, arguments))
    report.finish(arguments.results)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--vocabularies", type=int, nargs="+", default=VOCABULARIES)
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES, help="in sentences")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="of a sample, at least")
    add_arguments(parser, lines=500)
    parser.add_argument("--beams", type=int, nargs="+", default=[1, 4], help="for real text")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    return parser.parse_args()


def conditions(arguments: argparse.Namespace) -> dict[str, str]:
    return {
        "Model L": "embeddings 512, two bidirectional GRU layers of 256, one GRU layer of 512, "
        "general attention, random weights, int8; 14 source tokens, 16 target tokens",
        "Shortlists": f"{OWN_TOKENS} tokens for each sentence, as many columns in all as the "
        "table says; with one sentence, all of them are its own",
        "Measuring": f"{arguments.rounds} rounds after one that does not count, in turn, "
        f"{arguments.seconds:g} s and more for each; CPU time, medians of the "
        "ratios within the rounds",
    }


def measure(vocabulary: int, arguments: argparse.Namespace) -> Samples:
    samples: Samples = {}
    with tempfile.TemporaryDirectory() as folder:
        none = Shortlists(np.zeros(0, np.int32), np.zeros(vocabulary + 1, np.int64))
        bundle = build_bundle(Path(folder), MODEL_L, vocabulary, shortlists=none)
        decoding = ForcedDecoding(bundle, vocabulary, arguments.seconds, time.thread_time)
        decoding.sessions[ALL] = Sessions(bundle, variant="int8", shortlist="off")
        listed = Sessions(bundle, variant="int8", shortlist="on")
        for batch, width in itertools.product(arguments.batches, SEARCH):
            for columns in COLUMNS:
                # The same graphs with other shortlists.
                decoding.sessions[str(columns)] = copy.copy(listed)
                decoding.sessions[str(columns)].shortlists = spread(columns, batch, vocabulary)
            cases = [Case(kind, width, batch, 1) for kind in (ALL, *map(str, COLUMNS))]
            works = {case: partial(decoding.sample, case) for case in cases}
            samples |= alternate(works, arguments.rounds)
    return samples


def spread(columns: int, batch: int, vocabulary: int) -> Shortlists:
    """Let sentences have OWN_TOKENS of a number of tokens, so that together they have all."""
    random = np.random.default_rng(columns)
    pool = np.sort(random.choice(np.arange(EOS + 1, vocabulary), columns, replace=False))
    own = columns if batch == 1 else max(OWN_TOKENS, -(-columns // batch))
    rows: list[set[int]] = [set() for _ in range(vocabulary)]
    sources = random_sources(batch, vocabulary)
    for source, first in zip(sources, np.linspace(0, columns - own, batch), strict=True):
        window = pool[int(first) : int(first) + own]
        for token, part in zip(source, np.array_split(window, len(source) - 1), strict=False):
            rows[token] |= set(part.tolist())
    ids = np.array([id for row in rows for id in sorted(row)], np.int32)
    return Shortlists(ids, np.cumsum([0, *map(len, rows)]))


def decoder_table(vocabulary: int, samples: Samples, batches: Sequence[int]) -> Table:
    """Compare all but the encoder: looking up shortlists, gathering columns, steps, search."""
    note = "How many times faster than with all columns: the whole of decoding but the encoder."
    rows = compare(samples, batches, lambda each: each.seconds - each.encode_seconds)
    return Table(f"Decoder, {vocabulary:,} tokens", heads(batches), rows, note)


def whole_table(vocabulary: int, samples: Samples, batches: Sequence[int]) -> Table:
    rows = compare(samples, batches, lambda each: each.seconds)
    return Table(f"Encoder and decoder, {vocabulary:,} tokens", heads(batches), rows)


def heads(batches: Sequence[int]) -> list[str]:
    return ["search", "columns", *(f"batch {batch}" for batch in batches)]


def compare(
    samples: Samples, batches: Sequence[int], seconds: Callable[[Sample], float]
) -> list[list[str | float]]:
    def costs(kind: str, width: int, batch: int) -> list[float]:
        return [seconds(each) / each.steps for each in samples[Case(kind, width, batch, 1)]]

    return [
        [search, columns, *(ratio(costs(ALL, w, b), costs(str(columns), w, b)) for b in batches)]
        for w, search in SEARCH.items()
        for columns in COLUMNS
    ]


def has_shortlists(bundle: Bundle) -> bool:
    variant = bundle.manifest.variants.get("int8")
    return variant is not None and variant.shortlists is not None


def real_text_table(path: Path, arguments: argparse.Namespace) -> Table:
    open_with = partial(open_translator, path, arguments.pair, variant="int8")
    with (
        closing(open_with(shortlist="off")) as without,
        closing(open_with(shortlist="on")) as listed,
    ):
        lines, origin = choose_lines(arguments, listed.tokenizer)
        rows = []
        for beam, way in itertools.product(arguments.beams, WAYS):
            options = TranslationOptions(beam=beam)
            works = {
                translator: partial(cpu_seconds, partial(WAYS[way], translator, lines, options))
                for translator in (without, listed)
            }
            found = alternate(works, arguments.rounds)
            costs = [1000 * median(found[each]) / len(lines) for each in (without, listed)]
            rows.append([str(beam), way, *costs, ratio(found[without], found[listed])])
    columns = ("beam", "lines", "without: CPU ms a line", "with", "times faster")
    note = f"{'-'.join(arguments.pair)}, {origin}."
    return Table(f"Real text, {listed.model}", columns, rows, note)


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU time that a call takes, that of all threads."""
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
