"""A few dev sentences, as they were translated at each validation of a run.

`samples.jsonl` has one line for each validation and sentence. A run that goes on from a checkpoint
tells what lies behind it again, in equal words; readers take the last.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from training.corpus import HeldOut

SAMPLES = 3
"""Of each direction, evenly from its dev text."""
FILE = "samples.jsonl"


@dataclass(frozen=True, slots=True)
class Sample:
    """A dev sentence at one validation."""

    direction: str
    source: str
    reference: str
    translation: str


def keep_samples(samples: list[Sample], text: HeldOut, translations: Sequence[str]) -> None:
    """Add those of a text to the samples of a validation."""
    count = min(SAMPLES, len(translations))
    for i in range(count):
        place = i * len(translations) // count
        direction = f"{text.source}-{text.target}"
        sides = text.sources[place], text.references[place]
        samples.append(Sample(direction, *sides, translations[place]))


def write_samples(folder: Path, step: int, samples: Sequence[Sample]) -> None:
    """Add the samples of a validation to those of its run."""
    with (folder / FILE).open("a", encoding="utf-8") as file:
        for sample in samples:
            line = {"step": step, **asdict(sample)}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def read_samples(folder: Path) -> list[tuple[Sample, dict[int, str]]]:
    """Return each sentence with its translations by step; nothing of a run that kept none.

    The sample of a sentence is the last one.
    """
    path = folder / FILE
    if not path.exists():
        return []
    found: dict[tuple[str, str], tuple[Sample, dict[int, str]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = json.loads(line)
        step = fields.pop("step")
        sample = Sample(**fields)
        key = sample.direction, sample.source
        _, by_step = found.get(key, (sample, {}))
        by_step[step] = sample.translation
        found[key] = sample, by_step
    return list(found.values())
