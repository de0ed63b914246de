"""What terms do to translations and to speed: lines with one term each, with it and without.

    python tests/benchmarks/terms.py --source FILE --reference FILE

The terms come from the references: in each line the longest word that the free translation lacks,
and the source word that the model looks at when it is made to say it. The same terms are also put
anywhere, as the log-probabilities alone would have it, without regard to where the model looks.
"""

import argparse
import re
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import sacrebleu
from measuring import alternate, ratio
from published import add_arguments, newest_bundle, open_engine
from report import Report, Table
from texts import read

from models.bundle import Bundle
from service.engine import Term, TranslationOptions, Translator
from service.engine.alignment import TokenizedSentence, align
from service.engine.composition import Composer
from service.engine.hypothesis import SearchOptions
from service.engine.preparation import Preparer, Work

LEAST_LETTERS = 5
"""Of a word that is taken for a term."""
FREE, PLACED, ANYWHERE = "no term", "as served", "placed anywhere"
OPTIONS = TranslationOptions(split="lines", use_cache=False, priority="batch")


@dataclass(frozen=True)
class Line:
    """A sentence, how somebody translated it, and a word of that."""

    source: str
    reference: str
    term: Term


@dataclass(frozen=True)
class Outcome:
    """What became of all lines."""

    cpu_seconds: float
    translations: list[str]
    share_used: float


def main() -> None:
    arguments = parse()
    report = Report("terms", conditions(arguments))
    bundle = Bundle.open(newest_bundle(arguments.bundles, arguments.pair))
    with closing(open_engine(arguments)) as translator:
        lines = choose_lines(translator, arguments)
        works = {way: partial(translate, translator, lines, way) for way in WAYS}
        found = alternate(works, arguments.rounds)
    report.add(table(f"Terms, {bundle.identity}", lines, found))
    report.finish(arguments.results)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_arguments(parser, lines=300)
    parser.add_argument("--reference", type=Path, required=True, help="file of their translations")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    if arguments.source is None:
        parser.error("--source is required")
    return arguments


def conditions(arguments: argparse.Namespace) -> dict[str, str]:
    return {
        "Text": f"of the first {arguments.lines:,} lines of {arguments.source.name}, those whose "
        f"reference has a word of {LEAST_LETTERS} letters or more that the free translation lacks",
        "Search": "the bundle's own beam and length penalty, all lines at once",
        "Measuring": f"{arguments.rounds} rounds after one that does not count, in turn; CPU time "
        "of all threads, ratios within the rounds",
    }


def choose_lines(translator: Translator, arguments: argparse.Namespace) -> list[Line]:
    sources = read(arguments.source, arguments.lines)
    references = read(arguments.reference, arguments.lines)
    free = translator.translate_all(sources, OPTIONS)
    lines = []
    for source, reference, translation in zip(sources, references, free, strict=True):
        said = {word.casefold() for word in re.findall(r"\w+", translation.text)}
        words = [word for word in re.findall(r"\w+", reference) if word.isalpha()]
        missing = [w for w in words if len(w) >= LEAST_LETTERS and w.casefold() not in said]
        word = max(missing, key=len, default=None)
        if word and (origin := find_origin(translator, source, reference, word)):
            lines.append(Line(source, reference, Term(origin, word)))
    return lines


def find_origin(translator: Translator, source: str, reference: str, word: str) -> str | None:
    """Return the source word that the model looks at when it has to say a word."""
    [ids], options = prepare(translator, source, ()).sources, SearchOptions(with_attention=True)
    tokenizer = translator.tokenizer
    tokens, spans = tokenizer.encode_with_offsets(reference)
    [asked] = translator.scheduler.submit([ids], [replace(options, forced=tuple(tokens))])
    [hypothesis] = asked.result()
    assert hypothesis.attention_TS is not None
    links = align(
        hypothesis.attention_TS,
        TokenizedSentence(source, tokenizer.encode_with_offsets(source)[1]),
        TokenizedSentence(reference, spans),
        num_tags=translator.tag is not None,
    )
    begin = reference.index(word)
    found = [source[x.source_begin : x.source_end] for x in links if x.target_begin == begin]
    return next((each for each in found if each.isalpha()), None)


def prepare(translator: Translator, text: str, terms: tuple[Term, ...]) -> Work:
    preparer = Preparer(
        translator.source, translator.defaults, translator.tokenizer, translator.tag
    )
    return preparer.prepare(text, replace(OPTIONS, terms=terms))


def without_places(search: SearchOptions) -> SearchOptions:
    constraints = (replace(each, places=frozenset()) for each in search.constraints)
    return replace(search, constraints=tuple(constraints))


WAYS = (FREE, PLACED, ANYWHERE)


def translate(translator: Translator, lines: Sequence[Line], way: str) -> Outcome:
    began = time.process_time()
    works = [prepare(translator, x.source, () if way == FREE else (x.term,)) for x in lines]
    if way == ANYWHERE:
        works = [replace(x, searches=list(map(without_places, x.searches))) for x in works]
    asked = [translator.scheduler.submit(x.sources, x.searches, priority="batch") for x in works]
    composer = Composer(translator.tokenizer, None)
    renderings = [
        composer.compose(work, [each.result() for each in answers], 1)[0]
        for work, answers in zip(works, asked, strict=True)
    ]
    seconds = time.process_time() - began
    uses = [use.is_used for each in renderings for use in each.terms]
    share_used = sum(uses) / len(uses) if uses else 0.0
    return Outcome(seconds, [each.text for each in renderings], share_used)


def table(title: str, lines: Sequence[Line], found: dict[str, list[Outcome]]) -> Table:
    references = [[line.reference for line in lines]]
    free = [each.cpu_seconds for each in found[FREE]]
    rows = []
    for way, outcomes in found.items():
        seconds, last = [each.cpu_seconds for each in outcomes], outcomes[-1]
        rows.append(
            [
                way,
                100 * last.share_used,
                sacrebleu.corpus_bleu(last.translations, references).score,
                sacrebleu.corpus_chrf(last.translations, references).score,
                1000 * min(seconds) / len(lines),
                ratio(seconds, free),
            ]
        )
    columns = ["", "terms used %", "BLEU", "chrF2", "CPU ms a line", "times the CPU time"]
    return Table(title, columns, rows, f"{len(lines):,} lines with a term.")


if __name__ == "__main__":
    main()
