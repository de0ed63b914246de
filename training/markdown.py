"""Markdown: tables, and documents with places that a program fills."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


def render_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; what would end a cell or a line is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose cells are all written out."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    num_short: int
    """Columns that a terminal has room for; the others are details."""

    def markdown(self) -> str:
        """Return it for a document."""
        return render_table(self.header, self.rows)


def fill(text: str, contents: Mapping[str, str]) -> str:
    """Return a document with other contents between `<!-- NAME -->` and `<!-- end -->`.

    Raises:
        ValueError: the document has no such place, or several.
    """
    for name, content in contents.items():
        marker = f"<!-- {name} -->\n"
        if text.count(marker) != 1:
            raise ValueError(f"<!-- {name} --> stands {text.count(marker)} times in the document")
        before, _, rest = text.partition(marker)
        _, end, after = rest.partition("<!-- end -->")
        text = f"{before}{marker}\n{content}\n\n{end}{after}"
    return text


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
