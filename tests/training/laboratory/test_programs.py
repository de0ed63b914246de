"""Programs to be executed: what they may hold, and what they print."""

import re

import numpy as np
import pytest

from training.laboratory.programs import (
    LINE_END,
    NAMES,
    OPERATIONS,
    Difficulty,
    draw_execution,
    draw_program,
    execute,
    read_program,
    write_program,
)

KNOWN = {
    "print((12+345))": "357",
    "a=8\nfor x in range(4):a-=11\nprint((a*2))": "-72",
    "c=(39 if 22<4 else 21)\nc+=7\nprint(c)": "28",
}


def draw(difficulty, count=200):
    random = np.random.default_rng(4)
    return [draw_program(random, difficulty) for _ in range(count)]


@pytest.mark.parametrize("program", KNOWN)
def test_program_prints_what_is_known(program):
    assert execute(program) == KNOWN[program]


@pytest.mark.parametrize("length", [1, 3])
def test_numbers_have_no_more_digits_than_the_length(length):
    numbers = {n for program in draw(Difficulty(length, 2)) for n in re.findall(r"\d+", program)}
    factors = {str(n) for n in range(4 * length)}  # of loops and multiplications

    assert max(map(len, numbers - factors)) == length


@pytest.mark.parametrize("nesting", [1, 2, 4])
def test_so_many_operations_are_put_into_one_another(nesting):
    signs = re.compile(r"[-+]=|(?<=[\w)])[-+*](?!=)| if ")

    for program in draw(Difficulty(2, nesting)):
        # an assignment is the one operation that may be written as one line and one sign
        assert len(signs.findall(program)) == nesting, program


def test_all_kinds_of_operations_are_drawn():
    programs = "\n".join(draw(Difficulty(2, 3)))

    assert len(OPERATIONS) == 5
    for sign in ("+", "-", "*", " if ", "<", ">", "for x in range(", "+=", "-="):
        assert sign in programs
    assert re.search(r"^[a-j]=", programs, re.MULTILINE)


def test_more_operations_than_names_are_refused():
    with pytest.raises(ValueError, match=f"nesting 11 exceeds {len(NAMES)}"):
        draw_program(np.random.default_rng(1), Difficulty(1, 11))


def test_written_program_is_one_line_of_marked_numbers_and_is_read_again():
    program = "a=8\nfor x in range(14):a-=11\nprint((a*2))"

    text = write_program(program)

    assert text == f"a=_8{LINE_END}for x in range(_14):a-=_11{LINE_END}print((a*_2))"
    assert read_program(text) == program


def test_answer_is_what_the_program_prints_when_it_is_run_again():
    random = np.random.default_rng(2)
    for _ in range(100):
        source, target = draw_execution(random, Difficulty(3, 3))
        assert execute(read_program(source)) == target
        assert "\n" not in source + target


def test_line_ends_and_marks_are_no_numbers_that_the_service_would_keep():
    # what stands alone as a number of three digits is taken out of a text and put back
    pattern = re.compile(r"(?<![\w.,])\d+(?!\w)")

    assert not any(pattern.search(write_program(program)) for program in draw(Difficulty(4, 3)))
