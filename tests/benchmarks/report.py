"""What a benchmark found: shown, kept as JSON, and pasted into README.md.

    python tests/benchmarks/report.py

writes the tables of README.md anew from the files in `results/`. A report knows the machine,
the versions and the conditions of its figures, and how much of the machine others used
meanwhile; figures are kept as they were measured and rounded only to be shown.
"""

import json
import os
import platform
import re
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable

HERE = Path(__file__).parent
RESULTS = HERE / "results"
README = HERE / "README.md"

PACKAGES = ("onnxruntime", "numpy", "uvicorn", "fastapi")
# What decides how fast products of small integers and floats are.
CPU_FLAGS = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "asimddp")

QUIET_CORES = 0.15
"""What other processes may use before figures are not to be trusted."""

Cell = str | float | None
"""None is what could not be measured; an int is a count, or a width, and is shown whole."""


@dataclass(frozen=True)
class Table:
    """Figures of one kind; numbers as they were measured."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass
class Report:
    """What one run of a benchmark found, and its circumstances."""

    name: str
    conditions: dict[str, str]
    tables: list[Table] = field(default_factory=list)
    command: str = ""
    date: str = ""
    machine: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    foreign_cores: float = 0.0
    """CPU cores that other processes used on average while this ran."""

    def __post_init__(self) -> None:
        self.command, self.machine = command_line(), describe_machine()
        self.versions = describe_versions()
        self.date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        self._usage = Usage()

    def add(self, table: Table) -> None:
        """Append a table, and show it at once."""
        self.tables.append(table)
        Console().print(rendered(table))

    def finish(self, folder: Path = RESULTS) -> Path:
        """Say under which circumstances the tables came about, and write all to a file."""
        self.seconds, self.foreign_cores = self._usage.elapsed()
        Console().print(circumstances(asdict(self)), highlight=False)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.json"
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        return path


def targets(rows: Sequence[tuple[str, float, float, float]]) -> Table:
    """Set figures against what the project is to reach: measure, must, stretch, measured.

    Where the stretch is below the must, less is better.
    """
    judged = [[*row, verdict(*row[1:])] for row in rows]
    return Table("Targets", ["measure", "must", "stretch", "measured", "verdict"], judged)


def verdict(must: float, stretch: float, measured: float) -> str:
    """Say which of two targets a figure reaches."""
    sign = 1 if stretch >= must else -1
    if sign * measured < sign * must:
        return "missed"
    return "reached" if sign * measured < sign * stretch else "stretch reached"


class Usage:
    """A clock that also knows how busy other processes keep the CPU."""

    def __init__(self) -> None:
        self._began, self._busy, self._own = time.monotonic(), busy_seconds(), own_seconds()

    def elapsed(self) -> tuple[float, float]:
        """Return the seconds so far, and the cores that others used on average meanwhile.

        Children count as own from the moment they have ended.
        """
        seconds = time.monotonic() - self._began
        foreign = (busy_seconds() - self._busy) - (own_seconds() - self._own)
        return seconds, max(0.0, foreign / seconds)


def busy_seconds() -> float:
    """Return the CPU seconds that all processes of this machine have used."""
    names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    ticks = dict(zip(names, map(int, fields), strict=False))
    return sum(ticks[each] for each in names if each not in {"idle", "iowait"}) / ticks_a_second()


def own_seconds() -> float:
    """Return the CPU seconds of this process and of its children that have ended."""
    return sum(os.times()[:4])


def ticks_a_second() -> int:
    """Return the unit of the times under /proc."""
    return os.sysconf("SC_CLK_TCK")


def command_line() -> str:
    """Return the command that this process was started with, from the root of the repository."""
    script = Path(sys.argv[0]).resolve()
    root = HERE.parents[1]
    name = script.relative_to(root) if script.is_relative_to(root) else script.name
    words = [Path(each).name if each.startswith("/") else each for each in sys.argv[1:]]
    return shlex.join(["python", str(name), *words])


def describe_machine() -> str:
    """Return the CPU, what it offers to products, and the memory."""
    information = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    fields = dict(re.findall(r"^(\w[\w ]*\w)\s*:\s*(.*)$", information, re.MULTILINE))
    flags = set(fields.get("flags", fields.get("Features", "")).split())
    found = ", ".join(flag for flag in CPU_FLAGS if flag in flags)
    model = " ".join(fields.get("model name", platform.machine()).split())
    gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    numbers = (
        f"family {fields['cpu family']} model {fields['model']}, " if "model" in fields else ""
    )
    cores = len(os.sched_getaffinity(0))
    return f"{model} ({numbers}{found}), {cores} cores, {gib:.0f} GiB"


def describe_versions() -> dict[str, str]:
    """Return the version of Python, of this project and of what decides its speed."""
    versions = {"python": platform.python_version()}
    for package in ("dragoman", *PACKAGES):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue  # one of ONNX Runtime's builds has another name
    return versions


def shown(cell: Cell) -> str:
    """Return a figure with three digits that count, or what stands in its place."""
    if cell is None:
        return "-"
    if isinstance(cell, str | int):
        return f"{cell:,}" if isinstance(cell, int) else cell
    digits = 0 if abs(cell) >= 99.95 else 1 if abs(cell) >= 9.995 else 2
    return f"{cell:,.{digits}f}"


def rendered(table: Table) -> RichTable:
    """Return a table for the terminal."""
    made = RichTable(title=table.title, caption=table.note or None)
    for i, column in enumerate(table.columns):
        texts = all(isinstance(row[i], str) for row in table.rows)
        made.add_column(column, justify="left" if texts else "right")
    for row in table.rows:
        made.add_row(*map(shown, row))
    return made


def markdown(table: Table) -> str:
    """Return a table for a document."""
    texts = [all(isinstance(row[i], str) for row in table.rows) for i in range(len(table.columns))]
    lines = [
        f"| {' | '.join(table.columns)} |",
        "|" + "|".join("---" if is_text else "--:" for is_text in texts) + "|",
        *(f"| {' | '.join(map(shown, row))} |" for row in table.rows),
    ]
    note = f"\n{table.note}\n" if table.note else ""
    return f"**{table.title}**\n\n" + "\n".join(lines) + f"\n{note}"


def circumstances(report: dict) -> str:
    """Return the machine, the versions and the conditions of a report, as read from its file."""
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    foreign = report["foreign_cores"]
    quiet = "" if foreign <= QUIET_CORES else ", too much for these figures to be quoted"
    lines = [
        f"`{report['command']}`, {report['date']}, {report['seconds']:.0f} s; "
        f"other processes used {foreign:.2f} cores meanwhile{quiet}.",
        f"{report['machine']}; {versions}.",
        *(f"{name}: {value}." for name, value in report["conditions"].items()),
    ]
    return "\n".join(lines)


def section(report: dict) -> str:
    """Return what README.md says of a report, as read from its file."""
    tables = [markdown(Table(**table)) for table in report["tables"]]
    listed = "\n".join(f"- {line}" for line in circumstances(report).split("\n"))
    return "\n" + "\n".join(tables) + f"\n{listed}\n\n"


def with_results(text: str, folder: Path = RESULTS) -> str:
    """Return a document with each `<!-- NAME -->...<!-- end -->` filled from `NAME.json`."""

    def fill(found: re.Match[str]) -> str:
        path = folder / f"{found[1]}.json"
        if not path.exists():
            return found[0]
        made = section(json.loads(path.read_text(encoding="utf-8")))
        return f"<!-- {found[1]} -->\n{made}<!-- end -->"

    return re.sub(r"<!-- (\w+) -->\n(.*?)<!-- end -->", fill, text, flags=re.DOTALL)


if __name__ == "__main__":
    README.write_text(with_results(README.read_text(encoding="utf-8")), encoding="utf-8")
