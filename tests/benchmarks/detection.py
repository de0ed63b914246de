"""How sure the detection of languages is, beside how often it is right.

    python tests/benchmarks/detection.py de=dev.de en=dev.en fr=dev.fr ...

Each file holds lines of one language. From every line one word, two and three words are cut out by
chance, and the whole of it. It prints the table of `service/README.md`; before it, for the odd
lines, the power of py3langid's probabilities that fits best.
"""

import argparse
import random
import sys
from pathlib import Path

import numpy as np

from service.engine.detector import _SHARPNESS, Detector
from training.calibration import calibration_error

WORDS = {"one word": 1, "two words": 2, "three words": 3, "a sentence": None}


def pieces(line: str, words: int | None, draw: random.Random) -> str:
    """Return a line, or so many words of it; nothing if it has fewer."""
    if words is None:
        return line
    found = line.split()
    begin = draw.randrange(max(1, len(found) - words + 1))
    return " ".join(found[begin : begin + words]) if len(found) >= words else ""


def gather(files: dict[str, Path], limit: int) -> dict[str, list[tuple[str, str]]]:
    """Return texts with their languages, by kind."""
    draw = random.Random(1)
    texts: dict[str, list[tuple[str, str]]] = {kind: [] for kind in WORDS}
    for language, path in files.items():
        lines = sorted(set(path.read_text(encoding="utf-8").splitlines()))
        draw.shuffle(lines)
        for line in lines[:limit]:
            for kind, words in WORDS.items():
                if any(map(str.isalpha, text := pieces(line, words, draw))):
                    texts[kind].append((language, text))
    return texts


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", metavar="LANGUAGE=FILE")
    parser.add_argument("--limit", type=int, default=1500, help="lines of each language")
    arguments = parser.parse_args()
    files = dict(each.split("=", 1) for each in arguments.files)
    detector = Detector(files)
    texts = gather({name: Path(path) for name, path in files.items()}, arguments.limit)
    found = {
        kind: [
            ({each.language: each.confidence for each in detector.detect_all(text, 99)}, language)
            for language, text in all_texts
        ]
        for kind, all_texts in texts.items()
    }
    odd = [each for results in found.values() for each in results[1::2]]
    lines = [f"best power: {find_power(odd):.2f}"]
    lines += ["| text | texts | right | confidence | calibration error |", "|---|--:|--:|--:|--:|"]
    for kind, results in found.items():
        held_out = results[::2]
        best = [max(told, key=told.__getitem__) for told, _ in held_out]
        is_right = np.array([one == own for one, (_, own) in zip(best, held_out, strict=True)])
        sure = np.array([max(told.values()) for told, _ in held_out])
        error = calibration_error(sure, is_right.astype(float))
        shares = f"{is_right.mean():.3f} | {sure.mean():.3f} | {error:.3f}"
        lines.append(f"| {kind} | {len(held_out):,} | {shares} |")
    sys.stdout.write("\n".join([*lines, ""]))


def find_power(results: list[tuple[dict[str, float], str]]) -> float:
    """Return the power that makes what was told likeliest, of py3langid's own probabilities."""

    def loss(power: float) -> float:
        total = 0.0
        for told, own in results:
            weights = {name: p ** (power / _SHARPNESS) for name, p in told.items()}
            total -= np.log(max(weights[own] / sum(weights.values()), 1e-12))
        return total

    return min((float(power) for power in np.arange(0.8, 4, 0.02)), key=loss)


if __name__ == "__main__":
    main()
