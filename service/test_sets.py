"""Named test sets of a folder, and lines of files.

    test-sets/  NAME.de  NAME.en  NAME.en.2 ...

A language may have further references, which are numbered from 2. Whatever else lies in the
folder is not looked at.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from service.engine import closest
from service.errors import InvalidDocument, InvalidRequest, NotFound

_FILE = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*?)"
    r"\.(?P<language>[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*)(\.(?P<number>[1-9][0-9]?))?"
)


@dataclass(frozen=True, slots=True)
class TestSet:
    """What there is of a test set."""

    __test__ = False  # or pytest would collect it

    name: str
    references: Mapping[str, int]
    """How many versions there are of each language; more than one of those that have further
    references."""


@dataclass(frozen=True, slots=True)
class TestLines:
    """A test set in one direction."""

    source: list[str]
    references: list[list[str]]


class TestSets:
    """The test sets of a folder, which need not exist; read anew each time."""

    __test__ = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find_all(self) -> list[TestSet]:
        """Return those that have two languages at least, by name."""
        found = self._files()
        return [
            TestSet(name, {language: len(files) for language, files in sorted(own.items())})
            for name, own in sorted(found.items())
            if len(own) > 1
        ]

    def read(self, name: str, source: str, target: str) -> TestLines:
        """Return the lines of a test set for a pair of languages.

        Raises:
            InvalidDocument: a file is not text.
            InvalidRequest: it is not in these languages.
            NotFound: there is none of this name.
        """
        own = self._files().get(name)
        if own is None:
            raise NotFound(f"test_set: there is none of the name {name[:80]}", field="test_set")
        files = {language: self._find(own, name, language) for language in (source, target)}
        source_lines = _read(files[source][0], name)
        return TestLines(source_lines, [_read(path, name) for path in files[target]])

    def _find(self, own: Mapping[str, list[Path]], name: str, language: str) -> list[Path]:
        known = closest(language, set(own))
        if not known:
            raise InvalidRequest(
                f"test_set: {name} is in {', '.join(sorted(own))}, not in {language}",
                field="test_set",
            )
        return own[known[0]]

    def _files(self) -> dict[str, dict[str, list[Path]]]:
        """Return the files by name and language, the numbered ones after the first."""
        found: dict[str, dict[str, dict[int, Path]]] = defaultdict(lambda: defaultdict(dict))
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            match = _FILE.fullmatch(path.name)
            if match and path.is_file():
                number = int(match["number"] or 1)
                found[match["name"]][match["language"]][number] = path
        return {
            name: {
                language: [files[number] for number in sorted(files)]
                for language, files in own.items()
                if 1 in files
            }
            for name, own in found.items()
        }


def parse_lines(content: bytes, what: str) -> list[str]:
    """Return the lines of a file, without their ends, as `sacrebleu` would read them.

    Args:
        what: the field of a request that it came in.

    Raises:
        InvalidDocument: it is not UTF-8, or no text.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidDocument(f"{what}: line {line} is not UTF-8", field=what) from None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def _read(path: Path, name: str) -> list[str]:
    try:
        return parse_lines(path.read_bytes(), "test_set")
    except OSError:  # removed in this moment, or not ours to read
        raise NotFound(f"test_set: {name} cannot be read", field="test_set") from None
