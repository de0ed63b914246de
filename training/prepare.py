"""From a recipe to what the trainer reads: cleaned text, vocabulary, encoded examples.

prepared/origin.json      what it was made from; the same again is not made twice
prepared/tokenizer.model
prepared/N.tsv            training text N, cleaned, in the order of its languages
prepared/source.*.npy, target.*.npy   ids and offsets of all examples, memory-mapped
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.tokenizer import BOS, EOS, Tokenizer, target_tag
from training.corpus import HeldOut, Report, load_train
from training.inherit import inherit_tokenizer
from training.mixing import Sides, mix
from training.recipe import Recipe
from training.run import Run
from training.sections import Sections, dump_sections, reread_sections
from training.synthetic import read_origin
from training.text_recipe import TextRecipe

ORIGIN = "origin.json"
VOCABULARY = "tokenizer.model"
BACK_TRANSLATED = "<bt>"
"""Token that sources of tagged text begin with; no source of the service does.

Source: Caswell et al. 2019, "Tagged Back-Translation", section 3."""


@dataclass(frozen=True, slots=True)
class Ragged:
    """Sentences of token ids, end to end in one array."""

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    """Sentence i is `ids[offsets[i]:offsets[i + 1]]`."""

    @classmethod
    def join(cls, sentences: Sequence[Sequence[int]]) -> Self:
        """Lay sentences end to end."""
        lengths = np.fromiter(map(len, sentences), np.int64, len(sentences))
        ids = np.fromiter((id for one in sentences for id in one), np.int32, int(lengths.sum()))
        return cls(ids, np.concatenate([[0], lengths.cumsum()]))

    @classmethod
    def load(cls, folder: Path, side: str) -> Self:
        """Map a saved side into memory."""
        return cls(
            np.load(folder / f"{side}.ids.npy", mmap_mode="r"),
            np.load(folder / f"{side}.offsets.npy", mmap_mode="r"),
        )

    def save(self, folder: Path, side: str) -> None:
        """Write the files that `load` maps."""
        np.save(folder / f"{side}.ids.npy", self.ids)
        np.save(folder / f"{side}.offsets.npy", self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> NDArray[np.int32]:
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each sentence."""
        return np.diff(self.offsets)


@dataclass(frozen=True, slots=True)
class Examples:
    """What the network learns from: source i (tag, tokens, EOS) and target i (BOS ... EOS)."""

    source: Ragged
    target: Ragged


class Prepared:
    """A prepared corpus, opened for training.

    Raises:
        ValueError: nothing was prepared, by this recipe, or the vocabulary is damaged.
    """

    def __init__(self, run: Run) -> None:
        self._recipe = run.recipe
        self._folder = run.prepared
        known = _read_origin(run)
        if known is None:
            raise ValueError(f"{self._folder} does not exist: prepare first")
        if known["origin"]["recipe"] != _sections(run.recipe):
            raise ValueError(
                f"{self._folder} was made by another [corpus] or [tokenizer]: prepare again"
            )
        self.tokenizer = open_tokenizer(run)

    def examples(self, epoch: int) -> Examples:
        """Return the examples of an epoch, which may draw, join and segment its text anew.

        The same epoch has the same examples, whenever it is asked for.
        """
        if not _is_drawn(self._recipe):
            return Examples(
                Ragged.load(self._folder, "source"), Ragged.load(self._folder, "target")
            )
        texts = [_read_sides(self._folder / f"{i}.tsv") for i in range(self._num_texts)]
        return _encode(self._recipe, self.tokenizer, texts, epoch)

    @property
    def _num_texts(self) -> int:
        return len(self._recipe.corpus.train)


def prepare(run: Run) -> list[Report]:
    """Clean the training text, learn the vocabulary and encode; return what was dropped.

    What was prepared from the same recipe sections and files is kept, not made again.

    Raises:
        ValueError: a text cannot be read or leaks, or the vocabulary cannot be learnt.
    """
    origin = _origin(run)
    kept = _read_origin(run)
    if kept is not None and kept["origin"] == origin:
        return [Report(**report) for report in kept["reports"]]
    draft = run.folder / "prepared.draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    texts, reports = _write_texts(run, draft)
    tokenizer = _make_tokenizer(run, texts)
    tokenizer.save(draft / VOCABULARY)
    examples = _encode(run.recipe, tokenizer, texts)
    examples.source.save(draft, "source")
    examples.target.save(draft, "target")
    known = {"origin": origin, "reports": [asdict(report) for report in reports]}
    (draft / ORIGIN).write_text(json.dumps(known, indent=2))
    shutil.rmtree(run.prepared, ignore_errors=True)
    draft.rename(run.prepared)
    return reports


def open_tokenizer(run: Run) -> Tokenizer:
    """Read the vocabulary that was prepared.

    Raises:
        ValueError: it is not there, or is not one.
    """
    recipe = run.recipe.tokenizer
    return Tokenizer.open(run.prepared / VOCABULARY, recipe.normalisation, recipe.case)


def train_tokenizer(recipe: Recipe, texts: Sequence[Sides]) -> Tokenizer:
    """Learn one vocabulary from all training text but the sources of what was translated back."""
    written = (
        side
        for text, sides in zip(recipe.corpus.train, texts, strict=True)
        for side in (sides[1:] if text.kind == "back-translated" else sides)
    )
    return Tokenizer.train(
        (line for side in written for line in side),
        kind=recipe.tokenizer.kind,
        size=recipe.tokenizer.size,
        normalisation=recipe.tokenizer.normalisation,
        case=recipe.tokenizer.case,
        tags=_tags(recipe),
    )


def _tags(recipe: Recipe) -> list[str]:
    targets = dict.fromkeys(target for _, target in recipe.corpus.directions)
    tags = [target_tag(target) for target in targets] if recipe.has_tags else []
    if any(text.tagged for text in recipe.corpus.train):
        tags.append(BACK_TRANSLATED)
    return tags


def _make_tokenizer(run: Run, texts: Sequence[Sides]) -> Tokenizer:
    if run.recipe.tokenizer.vocabulary == "init_from":
        return inherit_tokenizer(run)
    return train_tokenizer(run.recipe, texts)


def source_prefix(recipe: Recipe, tokenizer: Tokenizer, target: str) -> list[int]:
    """Return the ids every source begins with that is to become this target language."""
    return [tokenizer.tag_id(target_tag(target))] if recipe.has_tags else []


def encode_pairs(
    recipe: Recipe, tokenizer: Tokenizer, texts: Sequence[HeldOut]
) -> list[tuple[list[int], list[int]]]:
    """Return held-out text as ids: source (tag, tokens, EOS) and target (BOS, tokens, EOS)."""
    pairs: list[tuple[list[int], list[int]]] = []
    for text in texts:
        prefix = source_prefix(recipe, tokenizer, text.target)
        for source, target in zip(text.sources, text.references, strict=True):
            ids = [*prefix, *tokenizer.encode(source), EOS]
            pairs.append((ids, [BOS, *tokenizer.encode(target), EOS]))
    return pairs


def encode_train(run: Run, tokenizer: Tokenizer) -> Examples:
    """Return the training text as examples, each segmented as the service does.

    Raises:
        ValueError: a text cannot be read, or leaks.
    """
    texts: list[Sides] = []
    for _, pairs, _ in load_train(run):
        texts.append(([first for first, _ in pairs], [second for _, second in pairs]))
    return _encode(run.recipe, tokenizer, texts)


def describe_files(run: Run) -> dict[str, str]:
    """Return the SHA-256 of every training file, by its name in the recipe."""
    return _hashes(run, run.recipe.corpus.train)


def describe_held_out(run: Run) -> dict[str, str]:
    """Return the SHA-256 of every file of dev and test text, by its name in the recipe."""
    return _hashes(run, run.recipe.corpus.dev + run.recipe.corpus.tests)


def _hashes(run: Run, texts: Sequence[TextRecipe]) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(run.resolve(path).read_bytes()).hexdigest()
        for text in texts
        for path in text.paths
    }


def _origin(run: Run) -> dict[str, object]:
    corpus = run.recipe.corpus
    for text in corpus.train:
        if text.origin is not None:
            read_origin(run.resolve(text.origin))  # tells better than its hash if it is missing
    try:
        # dev and tests too: another held-out text may leak where the last did not
        files = _hashes(run, corpus.train + corpus.dev + corpus.tests)
    except OSError as error:
        raise ValueError(f"corpus: {error}") from None
    return {"recipe": _sections(run.recipe), "files": files}


def _sections(recipe: Recipe) -> Sections:
    return dump_sections(recipe, "corpus", "tokenizer")


def _read_origin(run: Run) -> dict[str, Any] | None:
    path = run.prepared / ORIGIN
    if not path.exists():
        return None
    known: dict[str, Any] = json.loads(path.read_text())
    known["origin"]["recipe"] = reread_sections(known["origin"]["recipe"])
    return known


def _write_texts(run: Run, folder: Path) -> tuple[list[Sides], list[Report]]:
    texts: list[Sides] = []
    reports: list[Report] = []
    for i, (_, pairs, report) in enumerate(load_train(run)):
        lines = "".join(f"{first}\t{second}\n" for first, second in pairs)
        (folder / f"{i}.tsv").write_text(lines, encoding="utf-8")
        texts.append(([first for first, _ in pairs], [second for _, second in pairs]))
        reports.append(report)
    return texts, reports


def _read_sides(path: Path) -> Sides:
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    pairs = [line.split("\t") for line in lines]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _is_drawn(recipe: Recipe) -> bool:
    """Return whether an epoch's examples differ from the next epoch's."""
    return bool(
        recipe.tokenizer.dropout_source
        or recipe.tokenizer.dropout_target
        or recipe.corpus.joined
        or recipe.corpus.direction_weights
        or any(text.weight != 1 or text.epochs is not None for text in recipe.corpus.train)
    )


def _encode(
    recipe: Recipe, tokenizer: Tokenizer, texts: Sequence[Sides], epoch: int | None = None
) -> Examples:
    """Encode every direction of every text, or what an epoch draws of them and segments anew."""
    seed = None if epoch is None else recipe.training.seed + epoch
    sources: list[list[int]] = []
    targets: list[list[int]] = []
    for text, source_lines, target_lines, target in _directed(recipe, texts, epoch):
        prefix = source_prefix(recipe, tokenizer, target)
        if text.tagged:
            prefix.insert(0, tokenizer.tag_id(BACK_TRANSLATED))
        drops = recipe.tokenizer.dropout_source, recipe.tokenizer.dropout_target
        encoded = _segment(tokenizer, source_lines, drops[0], seed)
        sources += [[*prefix, *ids, EOS] for ids in encoded]
        encoded = _segment(tokenizer, target_lines, drops[1], seed)
        targets += [[BOS, *ids, EOS] for ids in encoded]
    return Examples(Ragged.join(sources), Ragged.join(targets))


def _directed(
    recipe: Recipe, texts: Sequence[Sides], epoch: int | None
) -> Iterator[tuple[TextRecipe, list[str], list[str], str]]:
    """Yield text, sources, targets and target language of every direction that a text teaches."""
    for i, (text, sides) in enumerate(zip(recipe.corpus.train, texts, strict=True)):
        if epoch is not None and not text.is_read_in(epoch):
            continue
        for j, (source, target) in enumerate(recipe.corpus.directions):
            if text.teaches(source, target):
                order = text.languages.index(source)
                drawn = sides[order], sides[1 - order]
                if epoch is not None:
                    weight = recipe.corpus.weight(text, source, target)
                    seed = recipe.training.seed + epoch
                    drawn = mix(drawn, weight, recipe.corpus, [seed, i, j])
                yield text, *drawn, target


def _segment(
    tokenizer: Tokenizer, lines: Sequence[str], dropout: float, seed: int | None
) -> list[list[int]]:
    if seed is None or dropout == 0:
        return [tokenizer.encode(line) for line in lines]
    return tokenizer.sample(lines, dropout, seed)
