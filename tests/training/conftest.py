"""A toy language, small enough to be learnt in a test."""

import copy
import itertools
import json
import random
from pathlib import Path

import pytest
import torch

from training.run import Run, open_run

SUBJECTS = {"ich": "I", "du": "you", "wir": "we", "sie": "they"}
VERBS = {"sehe": "see", "kaufe": "buy", "male": "paint", "suche": "seek"}
OBJECTS = {"Haus": "house", "Baum": "tree", "Hund": "dog", "Buch": "book", "Brot": "bread"}
NUM_TRAIN, NUM_DEV = 56, 8

RECIPE = {
    "name": "toy",
    "version": "1",
    "corpus": {
        "directions": [["de", "en"]],
        "cleaning": {"max_words": 20, "max_ratio": 3.0, "min_ratio_characters": 30},
        "train": [
            {"name": "toy train", "languages": ["de", "en"], "files": ["train.de", "train.en"]}
        ],
        "dev": [{"name": "toy dev", "languages": ["de", "en"], "files": ["dev.de", "dev.en"]}],
        "tests": [{"name": "toy test", "languages": ["de", "en"], "files": ["test.de", "test.en"]}],
    },
    "tokenizer": {"kind": "bpe", "size": 320, "normalisation": "NFC"},
    "network": {
        "cell": "gru",
        "attention": "general",
        "embedding_size": 12,
        "encoder_layers": 1,
        "encoder_size": 8,
        "decoder_layers": 2,
        "decoder_size": 12,
        "tying": "all",
    },
    "training": {
        "precision": "fp32",
        "batch_tokens": 150,
        "learning_rate": 0.01,
        "schedule": "trapezoid",
        "warmup_steps": 2,
        "max_steps": 6,
        "clip_norm": 1.0,
        "validate_steps": 3,
    },
    "export": {"max_source_tokens": 40},
}


class Toy:
    """A folder with a toy corpus, and runs of recipes that differ in what a test names."""

    def __init__(self, folder: Path) -> None:
        self.corpora = folder / "corpora"
        self.runs = folder / "runs"
        self.corpora.mkdir()
        pairs = [
            (
                " ".join(words),
                " ".join(table[word] for table, word in zip(TABLES, words, strict=True)),
            )
            for words in itertools.product(*TABLES)
        ]
        random.Random(1).shuffle(pairs)
        self.write("train", pairs[:NUM_TRAIN])
        self.write("dev", pairs[NUM_TRAIN : NUM_TRAIN + NUM_DEV])
        self.write("test", pairs[NUM_TRAIN + NUM_DEV :])

    def write(self, name: str, pairs: list[tuple[str, str]]) -> None:
        for side, language in enumerate(("de", "en")):
            lines = "".join(f"{pair[side]}\n" for pair in pairs)
            (self.corpora / f"{name}.{language}").write_text(lines, encoding="utf-8")

    def recipe(self, **changes: object) -> Path:
        """Write the recipe with changes named as `training__max_steps`; None removes a key."""
        recipe = copy.deepcopy(RECIPE)
        for name, value in changes.items():
            *sections, key = name.split("__")
            section = recipe
            for each in sections:
                section = section[each]
            section[key] = value
            if value is None:
                del section[key]
        path = self.corpora / "toy.toml"
        path.write_text("".join(f"{key} = {toml(value)}\n" for key, value in recipe.items()))
        return path

    def open(self, **changes: object) -> Run:
        return open_run(self.recipe(**changes), self.corpora, self.runs)


TABLES = (SUBJECTS, VERBS, OBJECTS)


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


@pytest.fixture
def toy(tmp_path) -> Toy:
    return Toy(tmp_path)


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Networks this small gain nothing from threads, and on a busy machine they wait for them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
