"""Whether each side is in the language it is said to be in."""

from collections import Counter
from collections.abc import Sequence

from service.engine import Detector
from training.findings import Finding, Line, Tally, Verdict, count_of

# What text on this planet is mostly in, so that a wrong side is called by its name. The more
# languages there are to choose from, the more often a short line is taken for a rare one.
WIDESPREAD = (
    *("ar", "cs", "da", "de", "el", "en", "es", "fi", "fr", "he", "hi", "hu", "it", "ja", "ko"),
    *("nl", "no", "pl", "pt", "ro", "ru", "sv", "tr", "uk", "vi", "zh"),
)
RELATIVES = (
    {"da", "no", "nn"},
    {"cs", "sk"},
    {"bs", "hr", "sr", "sl", "mk", "bg"},
    {"id", "ms", "jv"},
    {"es", "pt", "gl", "ca", "an"},
    {"ru", "uk", "be"},
    {"de", "lb"},
    {"nl", "af", "fy"},
    {"zh", "yue", "wuu"},
    {"tr", "az", "crh"},
)
"""Those of which a detector takes one for another; they are asked for only when named."""

GROUP = 20
"""Lines that are read as one text: names and numbers have no language, a page has."""
EVERY = 4
"""Of so many groups one is read; single lines are read all."""
MIN_LETTERS = 25
"""Shorter lines tell too little by themselves."""
CERTAIN = 0.97
"""Probability from which a line counts as another language: of 9,000 lines of Tatoeba, in German,
French and English, none did."""
MANY_WRONG = 0.005
MOSTLY = 0.5


class LanguageCheck:
    """Asks the service's detector, of lines and of groups of lines."""

    def __init__(self, languages: tuple[str, str]) -> None:
        self._languages = languages
        self._detector = Detector(candidates(languages))
        self._sides = tuple(_Side(self._detector, language) for language in languages)

    def look(self, line: Line) -> None:
        """Take the next line."""
        for side, text in zip(self._sides, line.pair, strict=True):
            side.look(line.number, text)

    def conclude(self) -> list[Finding]:
        """Return what is wrong with the sides together, or what each is."""
        found = [side.language_found() for side in self._sides]
        if all(self._detector.knows(language) for language in self._languages):
            wrong = _describe_wrong(self._languages, found)
            if wrong is not None:
                return [wrong]
        return [side.describe() for side in self._sides]


def candidates(languages: Sequence[str]) -> list[str]:
    """Return the languages to choose from: those named, and the widespread ones unlike them."""
    bases = {language.partition("-")[0] for language in languages}
    alike = {other for group in RELATIVES if group & bases for other in group}
    return [*languages, *(each for each in WIDESPREAD if each not in alike | bases)]


class _Side:
    def __init__(self, detector: Detector, language: str) -> None:
        self._detector = detector
        self._language = language
        self._is_known = detector.knows(language)
        self._group: list[str] = []
        self._groups: Counter[str] = Counter()
        self._wrong = Tally()
        self._wrong_languages: Counter[str] = Counter()
        self._lines = 0

    def look(self, number: int, text: str) -> None:
        if not self._is_known:
            return
        if self._lines // GROUP % EVERY == 0:
            self._group.append(text)
        self._lines += 1
        if len(self._group) == GROUP:
            self._read_group()
        if sum(map(str.isalpha, text)) < MIN_LETTERS:
            return
        detection = self._detector.detect(text)
        if detection.language != self._language and detection.confidence >= CERTAIN:
            self._wrong.add(number, text)
            self._wrong_languages[detection.language] += 1

    def language_found(self) -> tuple[str, float]:
        """Return what most groups are in, and their share."""
        if self._group:
            self._read_group()
        language, count = next(iter(self._groups.most_common(1)), (self._language, 0))
        return language, count / max(1, self._groups.total())

    def describe(self) -> Finding:
        name = f"language {self._language}"
        if not self._is_known:
            return Finding(name, "ok", "cannot be told: the detector does not know it")
        count, lines = self._wrong.count, max(1, self._lines)
        said = f"{count_of(count, lines, 'lines')} surely in another"
        if count:
            others = ", ".join(f"{each} {n:,}" for each, n in self._wrong_languages.most_common(3))
            said += f": {others}"
        verdict: Verdict = "look" if count > MANY_WRONG * lines else "ok"
        advice = "Remove these lines, or they will be learnt"
        return Finding(name, verdict, said, advice, count, tuple(self._wrong.examples))

    def _read_group(self) -> None:
        detection = self._detector.detect(" ".join(self._group))
        if detection.confidence > 0:
            self._groups[detection.language] += 1
        self._group = []


def _describe_wrong(
    languages: tuple[str, str], found: Sequence[tuple[str, float]]
) -> Finding | None:
    told = tuple(
        language if share > MOSTLY else said
        for said, (language, share) in zip(languages, found, strict=True)
    )
    if told == languages:
        return None
    shares = ", ".join(f"{language} {share:.0%}".replace("%", " %") for language, share in found)
    if told == languages[::-1]:
        said = (
            f"the sides are exchanged: said to be {languages[0]} and {languages[1]}, but {shares}"
        )
        advice = (
            "Exchange --from and --to, with --both for both directions; or put the files or the "
            "columns in the other order"
        )
    elif told[0] == told[1]:
        said = f"both sides are {told[0]} ({shares})"
        advice = f"One must be {languages[0]} and the other {languages[1]}: see what was exported"
    else:
        said = f"said to be {languages[0]} and {languages[1]}, the sides are {shares}"
        advice = "Correct --from and --to, or name other files"
    return Finding("languages", "stop", said, advice)
