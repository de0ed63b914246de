import csv
import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine import Term
from service.entries import GlossaryLimits, parse_entries, render_entries
from service.errors import InvalidRequest, NotFound
from service.glossaries import Dictionary, Glossaries
from service.store import Store

LIMITS = GlossaryLimits(max_glossaries=3, max_entries=5, max_term_characters=20)
DE_EN = Dictionary("de", "en", (Term("Haus", "house"), Term("Hund", "dog")))
EN_DE = Dictionary("EN", "DE", (Term("house", "Haus"),))


@pytest.fixture
def glossaries(tmp_path):
    store = Store(tmp_path / "data")
    yield Glossaries(store, LIMITS)
    store.close()


def test_glossary_is_found_as_it_was_made(glossaries):
    made = glossaries.create("Zoo", [DE_EN, EN_DE], "a")

    assert glossaries.find(made.id, "a") == made
    assert glossaries.find_all("a") == [made]
    assert made.name == "Zoo"
    assert [(x.source, x.target, x.entry_count) for x in made.dictionaries] == [
        ("de", "en", 2),
        ("en", "de", 1),
    ]
    assert glossaries.entries(made.id, "DE", "en", "a") == DE_EN


def test_glossaries_of_others_do_not_exist(glossaries):
    made = glossaries.create("Zoo", [DE_EN], "a")

    assert glossaries.find_all("b") == []
    for ask in (
        lambda: glossaries.find(made.id, "b"),
        lambda: glossaries.entries(made.id, "de", "en", "b"),
        lambda: glossaries.patch(made.id, "Mine", [], "b"),
        lambda: glossaries.delete(made.id, "b"),
    ):
        with pytest.raises(NotFound, match="no such glossary"):
            ask()
    assert glossaries.find(made.id, "a") == made


def test_newest_is_listed_first(glossaries):
    made = [glossaries.create(name, [DE_EN], "a") for name in "xyz"]

    assert glossaries.find_all("a") == made[::-1]


def test_patch_renames_and_merges(glossaries):
    made = glossaries.create("Zoo", [DE_EN], "a")

    glossaries.patch(made.id, "Park", [], "a")
    changed = Dictionary("de", "en", (Term("Hund", "hound"), Term("Katze", "cat")))
    glossaries.patch(made.id, None, [changed, EN_DE], "a")

    assert glossaries.find(made.id, "a").name == "Park"
    assert glossaries.find(made.id, "a").created == made.created
    assert glossaries.entries(made.id, "de", "en", "a").entries == (
        Term("Haus", "house"),
        Term("Hund", "hound"),
        Term("Katze", "cat"),
    )
    assert glossaries.entries(made.id, "en", "de", "a").entries == EN_DE.entries


def test_dictionaries_are_put_and_deleted(glossaries):
    made = glossaries.create("Zoo", [DE_EN], "a")

    glossaries.put_dictionary(made.id, Dictionary("DE", "EN", (Term("Maus", "mouse"),)), "a")
    glossaries.put_dictionary(made.id, EN_DE, "a")
    assert glossaries.entries(made.id, "de", "en", "a").entries == (Term("Maus", "mouse"),)
    glossaries.delete_dictionary(made.id, "de", "en", "a")

    assert [x.source for x in glossaries.find(made.id, "a").dictionaries] == ["en"]
    with pytest.raises(NotFound, match="no dictionary de-en"):
        glossaries.delete_dictionary(made.id, "de", "en", "a")
    glossaries.delete_dictionary(made.id, "en", "de", "a")
    assert glossaries.find(made.id, "a").dictionaries == ()


def test_replaced_glossary_has_nothing_of_the_old_one(glossaries):
    made = glossaries.create("Zoo", [DE_EN], "a")

    replaced = glossaries.replace(made.id, "Park", [EN_DE], "a")

    assert (replaced.id, replaced.name, replaced.created) == (made.id, "Park", made.created)
    assert [(x.source, x.target) for x in replaced.dictionaries] == [("en", "de")]


def test_deleted_glossary_is_gone(glossaries):
    made = glossaries.create("Zoo", [DE_EN], "a")

    glossaries.delete(made.id, "a")

    with pytest.raises(NotFound):
        glossaries.find(made.id, "a")
    with pytest.raises(NotFound):
        glossaries.delete(made.id, "a")


def test_terms_serve_variants_of_their_languages_the_named_one_first(glossaries):
    british = Dictionary("de", "en-GB", (Term("Farbe", "colour"),))
    american = Dictionary("de", "en-US", (Term("Farbe", "color"),))
    made = glossaries.create("Paint", [british, american], "a")

    assert glossaries.terms(made.id, "de", "en-us", "a") == american.entries
    assert glossaries.terms(made.id, "de-AT", "en", "a") == british.entries
    with pytest.raises(NotFound, match="no dictionary en-de"):
        glossaries.terms(made.id, "en", "de", "a")


def test_case_of_entries_is_kept(glossaries):
    entries = (Term("US", "USA", is_case_sensitive=True), Term("us", "uns"))

    made = glossaries.create("We", [Dictionary("en", "de", entries)], "a")

    assert glossaries.terms(made.id, "en", "de", "a") == entries


def test_limits_are_kept_and_named(glossaries):
    term = Term("a", "b")
    many = [Dictionary("de", "en", tuple(replace(term, source=str(i)) for i in range(6)))]
    made = glossaries.create("Zoo", [DE_EN], "a")
    for make, message, limit in (
        (lambda: glossaries.create("Zoo", many, "a"), "6 entries exceed 5", 5),
        (lambda: glossaries.patch(made.id, None, many, "a"), "6 entries exceed 5", 5),
        (lambda: glossaries.create(" ", [DE_EN], "a"), "a name has 1 to 1024 characters", 1024),
        (
            lambda: glossaries.create("Z", [Dictionary("de", "en", (Term("x" * 21, "y"),))], "a"),
            "entry 1: a term of 21 characters, not 1 to 20",
            20,
        ),
    ):
        with pytest.raises(InvalidRequest, match=message) as caught:
            make()
        assert caught.value.limit == limit
    glossaries.create("Zoo", [DE_EN], "a")
    glossaries.create("Zoo", [DE_EN], "a")
    with pytest.raises(InvalidRequest, match="there are 3 glossaries already"):
        glossaries.create("Zoo", [DE_EN], "a")
    assert glossaries.create("Zoo", [DE_EN], "b")


@pytest.mark.parametrize(
    ("dictionaries", "message"),
    [
        ([DE_EN, Dictionary("DE", "EN", DE_EN.entries)], "de-en has 2 dictionaries"),
        ([Dictionary("de", "de-AT", DE_EN.entries)], "de-de-at is no pair of languages"),
        ([Dictionary("de", "English!", DE_EN.entries)], "de-english! is no pair of languages"),
        ([Dictionary("de", "en", ())], "there are no entries"),
        ([Dictionary("de", "en", (Term("a", "b"), Term("a", "c")))], "entry 2: .* of entry 1"),
        ([Dictionary("de", "en", (Term("a", " "),))], "entry 1: a term of 1 characters"),
        ([Dictionary("de", "en", (Term("a\tb", "c"),))], "entry 1: a term with a control"),
    ],
)
def test_what_contradicts_itself_is_refused(glossaries, dictionaries, message):
    with pytest.raises(InvalidRequest, match=message):
        glossaries.create("Zoo", dictionaries, "a")
    assert glossaries.find_all("a") == []


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_tsv_is_read_line_by_line(end):
    text = end.join(["Haus\thouse", "", 'das "Tier"\tthe "animal" ', "\t", "a, b\tc"])

    assert parse_entries(text, "tsv", LIMITS) == (
        Term("Haus", "house"),
        Term('das "Tier"', 'the "animal"'),
        Term("a, b", "c"),
    )


def test_csv_is_read_with_quotes_and_with_languages():
    text = 'Haus,house\r\n"a, b","c ""d"""\r\n\r\nHund,dog,de,en\r\n'

    assert parse_entries(text, "csv", LIMITS) == (
        Term("Haus", "house"),
        Term("a, b", 'c "d"'),
        Term("Hund", "dog"),
    )


@pytest.mark.parametrize(
    ("text", "form", "message"),
    [
        ("Haus\thouse\nHund", "tsv", "line 2: 1 columns instead of 2"),
        ("a\tb\tc", "tsv", "line 1: 3 columns instead of 2"),
        ("a\tb\n\na\tc", "tsv", "line 3: its source is that of line 1"),
        ("a\t\n", "tsv", "line 1: a term of 0 characters, not 1 to 20"),
        ('a,b\n"c', "csv", "line 2: unexpected end of data"),
        ("", "csv", "there are no entries"),
        ("\n".join(f"{i}\tx" for i in range(6)), "tsv", "6 entries exceed 5"),
        ("a\x00\tb", "tsv", "line 1: a term with a control character"),
    ],
)
def test_line_that_is_no_entry_is_named(text, form, message):
    with pytest.raises(InvalidRequest, match=message):
        parse_entries(text, form, LIMITS)


sides = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)


@given(
    st.lists(st.builds(Term, sides, sides), min_size=1, max_size=5, unique_by=lambda x: x.source),
    st.sampled_from(["tsv", "csv"]),
)
def test_entries_that_are_written_are_read_back(entries, form):
    assert parse_entries(render_entries(entries, form), form, LIMITS) == tuple(entries)


def test_csv_is_what_other_programs_read():
    entries = [Term("a,b", 'c "d"'), Term("e", "f")]

    rows = list(csv.reader(io.StringIO(render_entries(entries, "csv"))))

    assert rows == [["a,b", 'c "d"'], ["e", "f"]]
