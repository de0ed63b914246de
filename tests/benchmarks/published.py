"""Published bundles, opened as the service opens them, and the lines that they translate."""

import argparse
from pathlib import Path

import texts

from models.bundle import Bundle, find_bundles
from models.tokenizer import Tokenizer
from service.engine import EngineOptions, Translator, open_translator

BUNDLES = Path(__file__).parents[2] / "models" / "bundles"


def add_arguments(parser: argparse.ArgumentParser, lines: int) -> None:
    """Let a command be told which bundle to take, how to run it, and what to translate."""
    parser.add_argument("--bundles", type=Path, default=BUNDLES, help="folder of bundles")
    parser.add_argument("--pair", type=as_pair, default=("de", "en"), help="such as de-en")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--workers", type=int, help="decoding threads; by default as the service")
    parser.add_argument("--source", type=Path, help="file of source lines; none: by chance")
    parser.add_argument("--lines", type=int, default=lines, help="how many of them")


def as_pair(text: str) -> tuple[str, str]:
    """Return the two languages of an argument such as de-en."""
    source, target = text.split("-")
    return source, target


def newest_bundle(root: Path, pair: tuple[str, str]) -> Path:
    """Return the bundle under a folder that serves a pair: the last, as the server would."""
    serve = [
        path
        for path in find_bundles(root)
        if pair in {(d.source, d.target) for d in Bundle.open(path).manifest.directions}
    ]
    if not serve:
        raise SystemExit(f"no bundle under {root} translates {'-'.join(pair)}")
    return serve[-1]


def open_engine(arguments: argparse.Namespace, variant: str = "auto") -> Translator:
    """Open the bundle that the server would open; the caller closes it."""
    options = EngineOptions(
        device=arguments.device, workers=arguments.workers, max_waiting_tokens=65_536
    )
    bundle = newest_bundle(arguments.bundles, arguments.pair)
    return open_translator(bundle, arguments.pair, variant=variant, options=options)


def choose_lines(arguments: argparse.Namespace, tokenizer: Tokenizer) -> tuple[list[str], str]:
    """Return what to translate, and what to say of it."""
    if arguments.source:
        lines = texts.read(arguments.source, arguments.lines)
        return lines, f"the first {len(lines):,} lines of {arguments.source.name}"
    lines = texts.generate(tokenizer, arguments.lines)
    return lines, f"{len(lines):,} sentences drawn by chance, 4 to 40 tokens"
