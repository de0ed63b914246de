"""Standard streams: lines in, progress and tables out.

Lines are UTF-8 and end at LF or CRLF, whatever the locale says. Progress is for people: it
appears on stderr, and only if that is a terminal.
"""

import select
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader, UnsupportedOperation
from pathlib import Path
from typing import IO, Protocol, cast

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

MAX_LINE_BYTES = 1 << 20
"""Longest line that is read, so that a stream without line ends cannot fill the memory."""

ARRIVAL_BYTES = 1 << 16
"""Most that is taken from a stream at once: what a pipe holds."""

PIPE_COLUMNS = 160
"""Width of tables where no terminal sets one; wide enough for sacreBLEU's signatures."""


class UnreadableLine(ValueError):
    """A line that is no text; the message names its number and the reason."""


class Arrivals:
    """A stream that is read as it arrives, and tells whether more is there already."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = cast(BufferedReader, stream)
        self._arrived = bytearray()
        self._is_ended = False

    def would_block(self) -> bool:
        """Whether the next line is not there yet."""
        while not self._has_line(MAX_LINE_BYTES):
            if self._is_idle():
                return True
            self._receive()
        return False

    def readline(self, limit: int) -> bytes:
        """Return the next line with its end, or its first `limit` bytes; at the end, nothing."""
        while not self._has_line(limit):
            self._receive()
        end = self._arrived.find(b"\n", 0, limit) + 1 or limit
        line = bytes(self._arrived[:end])
        del self._arrived[:end]
        return line

    def _has_line(self, limit: int) -> bool:
        return self._is_ended or len(self._arrived) >= limit or b"\n" in self._arrived

    def _is_idle(self) -> bool:
        try:
            return not select.select([self._stream], [], [], 0)[0]
        except UnsupportedOperation:
            return False  # a stream in memory waits for nobody

    def _receive(self) -> None:
        # more than a buffer holds, so that nothing stays in it unseen by select
        received = self._stream.read1(ARRIVAL_BYTES)
        self._arrived += received
        self._is_ended = not received


class HasLines(Protocol):
    """What lines can be read from."""

    def readline(self, limit: int, /) -> bytes:
        """Return the next line with its end, or its first `limit` bytes; at the end, nothing."""


def read_lines(stream: HasLines, name: str) -> Iterator[str]:
    """Yield the lines of a stream without their ends, holding one at a time.

    Raises:
        UnreadableLine: a line is not UTF-8, or longer than `MAX_LINE_BYTES`.
    """
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 2):
        number += 1
        line = line.removesuffix(b"\n").removesuffix(b"\r")
        if len(line) > MAX_LINE_BYTES:
            raise UnreadableLine(f"{name}, line {number}: longer than {MAX_LINE_BYTES} bytes")
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            place = f"byte {error.start + 1} is 0x{line[error.start]:02x}"
            raise UnreadableLine(f"{name}, line {number}: not UTF-8 ({place})") from None
        yield text


def read_file(path: Path) -> list[str]:
    """Return all lines of a file.

    Raises:
        UnreadableLine: as for `read_lines`.
    """
    with path.open("rb") as stream:
        return list(read_lines(stream, str(path)))


class Lines:
    """Lines that end before the first unreadable one instead of failing there.

    So what was read can be finished first; `failure` then says what came after it.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = lines
        self.failure: UnreadableLine | None = None

    def __iter__(self) -> Iterator[str]:
        try:
            yield from self._lines
        except UnreadableLine as failure:
            self.failure = failure


def one_line(text: str) -> str:
    """Put a space for each line break in a text, whatever character makes the break."""
    return " ".join(text.splitlines())


def tell(message: str, label: str = "error") -> None:
    """Write a sentence to stderr."""
    Console(stderr=True, highlight=False).print(_sentence(message, label), soft_wrap=True)


def _sentence(message: str, label: str) -> Text:
    return Text.assemble((f"{label}: ", "bold red"), message)


def show(*tables: Table) -> None:
    """Print tables to stdout, with a line between."""
    console = Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS, highlight=False)
    for i, each in enumerate(tables):
        if i:
            console.print()
        console.print(each)


def table(title: str, *columns: str, caption: str | None = None) -> Table:
    """Make an empty table; a column whose name ends in `>` is aligned to the right."""
    made = Table(
        title=title,
        caption=caption,
        box=SIMPLE_HEAD,
        pad_edge=False,
        title_justify="left",
        caption_justify="left",
        title_style="bold",
        caption_style="",
        header_style="dim",
    )
    for column in columns:
        made.add_column(
            column.rstrip(">"),
            justify="right" if column.endswith(">") else "left",
            overflow="fold",
        )
    return made


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:,.0f} lines/s")


class Attendance:
    """Tells people how far a job is that runs elsewhere."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar = bar
        self._task = task

    def show(self, doing: str, done: int, total: int) -> None:
        """Show what is being done; a total of 0 is none."""
        self._bar.update(self._task, description=doing, completed=done, total=total or None)

    def note(self, message: str) -> None:
        """Write a sentence above the progress, or to stderr where there is no terminal."""
        self._bar.console.print(_sentence(message, "note"), soft_wrap=True)


@contextmanager
def attending(doing: str) -> Iterator[Attendance]:
    """Show how far a job is, while the context lasts."""
    console = Console(stderr=True, highlight=False)
    with Progress(
        TextColumn("{task.description}"),
        *(MofNCompleteColumn(), BarColumn(), TimeRemainingColumn(), TimeElapsedColumn()),
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        disable=not console.is_terminal,
    ) as bar:
        yield Attendance(bar, bar.add_task(doing, total=None))


@contextmanager
def progress(total: int | None = None, *, wanted: bool = True) -> Iterator[Callable[[int], None]]:
    """Show how many lines are done, given the number so far, while the context lasts.

    Args:
        total: None if it is not known how many there will be.
    """
    console = Console(stderr=True)
    known = [BarColumn(), TimeRemainingColumn()] if total else []
    columns = [TextColumn("translated"), MofNCompleteColumn(), *known, _Speed()]
    with Progress(
        *columns,
        TimeElapsedColumn(),
        console=console,
        transient=True,
        # results would be drawn on stderr otherwise
        redirect_stdout=False,
        redirect_stderr=False,
        disable=not (wanted and console.is_terminal),
    ) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, completed=done)
