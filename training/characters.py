"""Characters and signs that do not belong in sentences, or differ between the sides."""

import re
from collections import Counter

from training.findings import Finding, Line, Tally, count_of, judge

# Signs that UTF-8 leaves when it is read as Windows-1252 or Latin-1 and written once more.
MOJIBAKE = re.compile(
    "[\u00c2-\u00c3][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc"
    "\u2013-\u203a\u20ac\u2122]|\u00e2\u20ac|\u00d0[\u0080-\u00bf]|\ufffd"
)
ENTITY = re.compile(r"&(?:[A-Za-z][A-Za-z0-9]{1,30}|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});")
TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}>")
PLACEHOLDER = re.compile(
    r"\$?\{\{?[A-Za-z0-9_.:]*\}?\}|(?<![0-9])%(?:[0-9]+\$)?[sdif@]|%\([a-z_]+\)[sdif]|\[\[?[A-Z0-9_]+\]?\]"
)

KINDS: dict[str, tuple[re.Pattern[str], float, str]] = {
    "control characters": (
        re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"),
        0.01,
        "They are removed; so many mean a bad export",
    ),
    "zero-width, soft hyphens": (
        re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]"),
        0.2,
        "Joiners and marks of direction stay, the others are removed",
    ),
    "no-break spaces": (
        re.compile("[\u00a0\u2007\u202f]"),
        1.0,
        "They become spaces",
    ),
    "mojibake": (
        MOJIBAKE,
        0.001,
        "Text was read in a wrong encoding: export it anew, or repair it (python package ftfy)",
    ),
    "HTML entities": (
        ENTITY,
        0.001,
        "They will be learnt as they stand: turn them into characters",
    ),
    "tags": (TAG, 0.001, "They will be learnt as they stand: remove them, or keep them on purpose"),
}
"""By name: what is searched for, the share of pairs above which it is worth a look, advice."""


class CharacterCheck:
    """Searches both sides as they stand in the file."""

    def __init__(self) -> None:
        self._lines = 0
        self._tallies = {name: Tally() for name in KINDS}
        self._differing = Tally()

    def look(self, line: Line) -> None:
        """Take the next line."""
        self._lines += 1
        for name, (pattern, _, _) in KINDS.items():
            side = next((side for side in line.raw if pattern.search(side)), None)
            if side is not None:
                self._tallies[name].add(line.number, side)
        first, second = (Counter(PLACEHOLDER.findall(side)) for side in line.raw)
        if first != second:
            self._differing.add(line.number, " | ".join(line.pair))

    def conclude(self) -> list[Finding]:
        """Return one finding for each kind."""
        findings = [
            self._describe(name, self._tallies[name], limit, advice)
            for name, (_, limit, advice) in KINDS.items()
        ]
        advice = "A placeholder is on one side only, or is written differently: correct these pairs"
        return [*findings, self._describe("placeholders differ", self._differing, 0.0, advice)]

    def _describe(self, name: str, tally: Tally, limit: float, advice: str) -> Finding:
        said = count_of(tally.count, self._lines)
        verdict = judge(tally.count / max(1, self._lines), limit)
        return Finding(name, verdict, said, advice, tally.count, tuple(tally.examples))
