"""Learning to Execute: programs that a network reads character by character, and what they print.

A program has a difficulty of two numbers: `length`, how many digits its numbers have at most, and
`nesting`, how many operations are put into one another. Each operation is drawn from all kinds:

    pair             (a+b), (a-b)
    multiplication   (a*k), k below 4 * length
    comparison       (a if p>q else b)
    assignment       a=...; a change by += or -=; a goes on
    loop             for x in range(k):a+=n; a goes on, k below 4 * length

Answers are found by executing the program. Lines end with U+21B5, for a text is one line here, and
the digits of a number stand behind an underscore (see `tasks.py`).

Loss and accuracy are of what is printed alone: the program is the source and the output the target
of the same network that translates, which learns to predict targets only.

Source: Zaremba & Sutskever 2014, "Learning to Execute", sections 3 and 4, and figures 1 and 2.
"""

import contextlib
import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from training.laboratory.tasks import Pair

LINE_END = "\u21b5"
NAMES = "abcdefghij"
COUNTER = "x"
SMALL = 4
"""Factors and loops are below so many times the length: what is learnt stays linear in a number's
digits (Zaremba & Sutskever 2014, section 3)."""
_NUMBER = re.compile(r"(?<!\w)\d+")


@dataclass(slots=True)
class _Writer:
    """A program while it is written."""

    random: np.random.Generator
    length: int
    lines: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def number(self) -> str:
        digits = int(self.random.integers(1, self.length + 1))
        return str(int(self.random.integers(10 ** (digits - 1) if digits > 1 else 0, 10**digits)))

    def small(self) -> str:
        return str(int(self.random.integers(1, SMALL * self.length)))

    def sign(self) -> str:
        return str(self.random.choice(["+", "-"]))

    def name(self) -> str:
        left = [name for name in NAMES if name not in self.names]
        self.names.append(str(self.random.choice(left)))
        return self.names[-1]

    def swap(self, first: str, second: str) -> tuple[str, str]:
        return (first, second) if self.random.random() < 0.5 else (second, first)


Operation = Callable[[_Writer, str], str]
"""Puts an expression into an operation; returns the expression for the whole."""


def _pair(writer: _Writer, inner: str) -> str:
    first, second = writer.swap(inner, writer.number())
    return f"({first}{writer.sign()}{second})"


def _multiplication(writer: _Writer, inner: str) -> str:
    first, second = writer.swap(inner, writer.small())
    return f"({first}*{second})"


def _comparison(writer: _Writer, inner: str) -> str:
    first, second = writer.swap(inner, writer.number())
    order = writer.random.choice(["<", ">"])
    return f"({first} if {writer.number()}{order}{writer.number()} else {second})"


def _assignment(writer: _Writer, inner: str) -> str:
    name = writer.name()
    writer.lines.append(f"{name}={inner}")
    if writer.random.random() < 0.5:
        writer.lines.append(f"{name}{writer.sign()}={writer.number()}")
        return name
    return f"({name}{writer.sign()}{writer.number()})"


def _loop(writer: _Writer, inner: str) -> str:
    name = writer.name()
    writer.lines.append(f"{name}={inner}")
    body = f"{name}{writer.sign()}={writer.number()}"
    writer.lines.append(f"for {COUNTER} in range({writer.small()}):{body}")
    return name


OPERATIONS: dict[str, Operation] = {
    "pair": _pair,
    "multiplication": _multiplication,
    "comparison": _comparison,
    "assignment": _assignment,
    "loop": _loop,
}


@dataclass(frozen=True, slots=True)
class Difficulty:
    """How hard programs are."""

    length: int
    """Digits of a number, at most."""
    nesting: int
    """Operations in one another."""


def draw_program(random: np.random.Generator, difficulty: Difficulty) -> str:
    """Return a program, its lines ended by line feeds; what it prints is one number."""
    if difficulty.nesting > len(NAMES):
        raise ValueError(f"nesting {difficulty.nesting} exceeds {len(NAMES)}")
    writer = _Writer(random, difficulty.length)
    expression = writer.number()
    for _ in range(difficulty.nesting):
        kind = str(random.choice(list(OPERATIONS)))
        expression = OPERATIONS[kind](writer, expression)
    return "\n".join([*writer.lines, f"print({expression})"])


def execute(program: str) -> str:
    """Return what a program that was drawn here prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(program, {"__builtins__": {"print": print, "range": range}})  # noqa: S102  # own text
    return printed.getvalue().strip()


def write_program(program: str) -> str:
    """Return a program as the network reads it: one line, numbers marked."""
    return _NUMBER.sub(lambda number: f"_{number[0]}", program).replace("\n", LINE_END)


def read_program(text: str) -> str:
    """Return the program that `write_program` wrote."""
    return text.replace("_", "").replace(LINE_END, "\n")


def draw_execution(random: np.random.Generator, difficulty: Difficulty) -> Pair:
    """Return a program, as the network reads it, and what it prints."""
    program = draw_program(random, difficulty)
    return write_program(program), execute(program)
