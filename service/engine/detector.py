"""Which language a text is in, among those that can be translated."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

# The first lines tell as much as a whole book.
_MAX_CHARACTERS = 4000
# py3langid is too modest: with this power its probabilities come true, from single words to whole
# sentences (tests/benchmarks/detection.py finds it).
_SHARPNESS = 2.46


@dataclass(frozen=True, slots=True)
class Detection:
    """A language and how sure it is."""

    language: str
    confidence: float
    """Probability that it is this one, if it is one of those allowed, 0 to 1."""


class Detector:
    """Tells the languages it was made with apart; any thread may ask."""

    def __init__(self, languages: Iterable[str]) -> None:
        self._languages = sorted(set(languages))
        # Of several that are written alike, one is as good as another.
        self._language_by_label = {_base(each): each for each in reversed(self._languages)}
        self._identifier: LanguageIdentifier | None = None
        self._loading = threading.Lock()

    def adapted_to(self, languages: Iterable[str]) -> "Detector":
        """Return a detector of these languages: this one, if they are its own."""
        return self if sorted(set(languages)) == self._languages else Detector(languages)

    def detect(self, text: str) -> Detection:
        """Return the likeliest language; if nothing tells, the first one and confidence 0."""
        return self.detect_all(text, 1)[0]

    def detect_all(self, text: str, most: int) -> list[Detection]:
        """Return the likeliest languages, the best first; if nothing tells, as `detect` does."""
        if not any(character.isalpha() for character in text):
            return [Detection(self._languages[0], 0.0)]
        if len(self._languages) == 1:
            return [Detection(self._languages[0], 1.0)]
        identifier = self._load()
        if not identifier.nb_classes:
            return [Detection(self._languages[0], 0.0)]
        ranked = identifier.rank(text[:_MAX_CHARACTERS])
        weights = [probability**_SHARPNESS for _, probability in ranked]
        total = sum(weights)
        found = zip(ranked, weights, strict=True)
        return [
            Detection(self._language_by_label[label], weight / total)
            for (label, _), weight in islice(found, most)
        ]

    def knows(self, language: str) -> bool:
        """Tell whether texts in this language, one of its own, can be recognised."""
        return _base(language) in self._load().labels

    def _load(self) -> "LanguageIdentifier":
        with self._loading:
            if self._identifier is None:
                # Here and not on top: it costs 0.7 s and 130 MB, and whoever names the source
                # language never needs it.
                from py3langid.langid import (  # noqa: PLC0415
                    MODEL_FILE,
                    LanguageIdentifier,
                )

                identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
                known = self._language_by_label.keys() & set(identifier.labels)
                identifier.set_languages(sorted(known))
                self._identifier = identifier
            return self._identifier


def _base(language: str) -> str:
    return language.partition("-")[0]
