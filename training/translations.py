"""The translations of many sentences by a bundle, made chunk by chunk through the engine.

    sentences --sort by length, cut--> chunks --engine--> FOLDER/K.json, each whole or not at all

A finished chunk is not made again: who is interrupted goes on with the same call. Sentences of
like length share the engine's steps; chunks come in a drawn order, so that the time left can be
told from the chunks that are done.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from service.engine import (
    EngineOptions,
    FinishReason,
    TranslationOptions,
    Translator,
    open_translator,
)

CHUNK_SENTENCES = 2000
"""Lost at most by an interruption; ten seconds of work or so."""
ORIGIN = "origin.json"
ENGINE = EngineOptions(max_waiting_tokens=65_536)
"""On a GPU if there is one, and with enough waiting to form groups of like length."""

OnProgress = Callable[[int], None]
"""Is told how many more sentences are done."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """Who translates, and how."""

    bundle: Path
    identity: str
    """What tells this bundle from all others: its name and a hash."""
    source: str
    """Language, as `target`."""
    target: str
    beam: int
    length_penalty: float | None = None
    """None takes the bundle's own."""
    num_best: int = 1
    """Hypotheses of each sentence that are kept; fewer may come."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """What became of one sentence."""

    texts: list[str]
    """Its translations, the best first."""
    finish_reason: FinishReason
    """Of the best one."""


def translate_all(
    interpreter: Interpreter,
    sentences: Sequence[str],
    folder: Path,
    on_progress: OnProgress,
    chunk_sentences: int = CHUNK_SENTENCES,
) -> list[Rendering]:
    """Return what became of each sentence, in their order; what `folder` holds is not made again.

    What it holds of other sentences, or of another interpreter, is removed.

    Raises:
        ServiceError: the engine cannot open the bundle, or fails.
    """
    _open_folder(folder, _origin(interpreter, sentences) | {"chunk_sentences": chunk_sentences})
    chunks = _cut(sentences, chunk_sentences)
    missing = [i for i in _order(len(chunks)) if not _path(folder, i).exists()]
    on_progress(len(sentences) - sum(len(chunks[i]) for i in missing))
    if missing:
        _translate(interpreter, sentences, {i: chunks[i] for i in missing}, folder, on_progress)
    renderings: dict[int, Rendering] = {}
    for i, chunk in enumerate(chunks):
        made = json.loads(_path(folder, i).read_text(encoding="utf-8"))
        renderings |= dict(zip(chunk, (Rendering(**each) for each in made), strict=True))
    return [renderings[i] for i in range(len(sentences))]


def _translate(
    interpreter: Interpreter,
    sentences: Sequence[str],
    chunks: dict[int, list[int]],
    folder: Path,
    on_progress: OnProgress,
) -> None:
    """Translate chunks in one stream, and write each as soon as it is done."""
    options = TranslationOptions(
        beam=interpreter.beam,
        length_penalty=interpreter.length_penalty,
        alternatives=interpreter.num_best - 1,
    )
    direction = interpreter.source, interpreter.target
    translator = open_translator(interpreter.bundle, direction, options=ENGINE)
    texts = (sentences[place] for chunk in chunks.values() for place in chunk)
    try:
        with closing(_render(translator, texts, options)) as stream:
            for i, chunk in chunks.items():
                made: list[dict[str, Any]] = []
                for rendering in islice(stream, len(chunk)):
                    made.append(asdict(rendering))
                    on_progress(1)
                _write(_path(folder, i), made)
    finally:
        translator.close()


def _render(
    translator: Translator, texts: Iterator[str], options: TranslationOptions
) -> Generator[Rendering, None, None]:
    # Closed early it gives up what is in flight, which closing the translator would wait for.
    for each in translator.translate_all(texts, options):
        yield Rendering([each.text, *each.alternatives], each.finish_reason)


def _cut(sentences: Sequence[str], size: int) -> list[list[int]]:
    """Return the places of the sentences of each chunk, by length."""
    order = sorted(range(len(sentences)), key=lambda i: len(sentences[i]))
    return [order[i : i + size] for i in range(0, len(order), size)]


def _order(count: int) -> Iterator[int]:
    yield from np.random.default_rng(0).permutation(count).tolist()


def _origin(interpreter: Interpreter, sentences: Sequence[str]) -> dict[str, Any]:
    known = asdict(interpreter)
    del known["bundle"]  # where it lies is all the same
    lines = "\n".join(sentences).encode()
    return known | {"sentences": hashlib.sha256(lines).hexdigest()}


def _open_folder(folder: Path, origin: dict[str, Any]) -> None:
    path = folder / ORIGIN
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) == origin:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _write(path, origin)


def _path(folder: Path, chunk: int) -> Path:
    return folder / f"{chunk}.json"


def _write(path: Path, content: object) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    draft.replace(path)
