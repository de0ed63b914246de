"""Marks of upper case give the text back to the letter, and mean nothing where nobody set them."""

import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.casing import TITLE, UPPER, mark_case, restore_case
from models.normalisation import normalise

# Letters whose cases are not one to one, and what stands at the edge of words.
NASTY = "aAzZäÄßẞıIiİσςΣǆǅǄﬁŉϴΘΩⅷⅧⓐⒶაᲐꭰᎠ\u0345\u0301\u0307²3٣_'-.漢 "  # noqa: RUF001


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("das haus", " das haus"),
        ("Das HAUS", f"{TITLE} das{UPPER} haus"),
        ("I AM a", f"{TITLE} i{UPPER} am a"),
        ("(Hallo) E-Mail", f" ({TITLE}hallo){TITLE} e-{TITLE}mail"),
        ("L'HOMME", f"{TITLE} l'{UPPER}homme"),
        ("A4 H2O COVID-19", f"{TITLE} a4{TITLE} h2{TITLE}o{UPPER} covid-19"),
        ("ΟΔΟΣ Οδός", f"{UPPER} οδος{TITLE} οδός"),
        ("ǅep", f"{TITLE} ǆep"),
        ("iPhone McDonald's", f" i{TITLE}phone{TITLE} mc{TITLE}donald's"),
        ("(CDs)", f" ({TITLE}c{TITLE}ds)"),
        ("GmbH", f"{TITLE} gmb{TITLE}h"),
        ("STRASSE Straße", f"{UPPER} strasse{TITLE} straße"),
        ("ÉCOLE Été", f"{UPPER} école{TITLE} été"),
        ("", ""),
    ],
)
def test_word_in_capitals_is_small_behind_its_mark(text, marked):
    assert mark_case(text) == marked


@pytest.mark.parametrize("text", ["STRAẞE", "İstanbul", "Ǆep", "aİb", "漢字", "?!"])
def test_word_that_marks_cannot_give_back_stays_as_it_is(text):
    assert mark_case(text) == f" {text}"


@settings(max_examples=300, deadline=None)
@given(text=st.one_of(st.text(max_size=30), st.text(NASTY, max_size=30)))
@example(text="Σ ΑΣ ΑΣΑ Σας ΣΑΣ' Σ.Σ")
@example(text="İI ıi Iİ iI")  # noqa: RUF001
def test_marked_text_is_restored_to_the_letter(text):
    normalised = normalise(text, "NFC")

    assert restore_case(mark_case(normalised)) == normalised


def test_every_letter_with_a_case_is_restored_before_between_and_behind_others():
    characters = [c for c in map(chr, range(sys.maxunicode + 1)) if c.lower() != c.upper()]
    text = " ".join(f"{c} {c}a {c}A a{c} A{c} A{c}A {c}{c}" for c in characters)

    normalised = normalise(text, "NFC")

    assert restore_case(mark_case(normalised)) == normalised


@pytest.mark.parametrize(
    ("marked", "text"),
    [
        (f"{TITLE}{TITLE} das", "Das"),
        (f"{TITLE}{UPPER} das", "DAS"),
        (f" das{UPPER}{TITLE} haus", "das HAUS"),
        (f" das{UPPER}{UPPER} haus", "das HAUS"),
        (f" ha{UPPER}us", "haus"),
        (f" ha{UPPER}{TITLE}us", "haUs"),
        (f" das{UPPER}", "das"),
        (f" das{UPPER} 3", "das 3"),
        (f"{TITLE}", ""),
        (f"{TITLE} {TITLE} das", " Das"),
        (f"{TITLE} ßa{UPPER} straße", "Ssa STRASSE"),
    ],
)
def test_marks_out_of_place_are_never_text(marked, text):
    assert restore_case(marked) == text


@given(marked=st.text(f"{TITLE}{UPPER}aA 1\u0301.", max_size=20))
def test_no_mark_is_left_in_what_is_restored(marked):
    assert not {TITLE, UPPER} & set(restore_case(marked))
