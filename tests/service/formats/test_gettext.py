import polib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidDocument
from service.formats import FormatOptions, Translated
from service.formats.gettext import parse

OPTIONS = FormatOptions("en", "de")
CATALOGUE = r"""# Translations of a shop
# are put here.
msgid ""
msgstr ""
"Project-Id-Version: shop 1\n"
"Language: de\n"
"MIME-Version: 1.0\n"
"Content-Type: text/plain; charset=UTF-8\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\n"

#. the button
#: shop.py:1
msgctxt "button"
msgid "Buy"
msgstr ""

msgid "Sell"
msgstr "Verkaufen"

#, python-format
msgid "%d item\n"
msgid_plural "%d items\n"
msgstr[0] ""
msgstr[1] ""

#, fuzzy
msgid "Old"
msgstr "Alt"

msgid "42"
msgstr ""

#~ msgid "Gone"
#~ msgstr "Weg"
"""


def entries(content: bytes) -> dict[str, polib.POEntry]:
    return {entry.msgid: entry for entry in polib.pofile(content.decode() + "\n")}


def test_open_entries_are_filled_and_all_else_is_kept(translate):
    expected = (
        CATALOGUE.replace('msgid "Buy"\nmsgstr ""', 'msgid "Buy"\nmsgstr "BUY"')
        .replace('msgstr[0] ""', r'msgstr[0] "%D ITEM\n"')
        .replace('msgstr[1] ""', r'msgstr[1] "%D ITEMS\n"')
        .replace('msgid "42"\nmsgstr ""', 'msgid "42"\nmsgstr "42"')
    )

    assert translate(CATALOGUE.encode(), "a.po", str.upper).decode() == expected


def test_plural_forms_are_those_of_the_header(translate):
    content = CATALOGUE.replace("nplurals=2; plural=(n != 1)", "nplurals=3; plural=(n%10==1?0:1)")

    item = entries(translate(content.encode(), "a.po"))["%d item\n"]

    assert item.msgstr_plural == {0: "%d item\n", 1: "%d items\n", 2: "%d items\n"}


@pytest.mark.parametrize(("target", "forms"), [("de", 2), ("ja", 1)])
def test_template_gets_language_charset_and_plural_forms(translate, target, forms):
    content = (
        CATALOGUE.replace("UTF-8", "CHARSET")
        .replace("Language: de", "Language: ")
        .replace("nplurals=2; plural=(n != 1);", "nplurals=INTEGER; plural=EXPRESSION;")
    )

    made = polib.pofile(translate(content.encode(), "a.pot", target=target).decode() + "\n")

    assert made.metadata["Language"] == target
    assert made.metadata["Content-Type"] == "text/plain; charset=UTF-8"
    assert f"nplurals={forms};" in made.metadata["Plural-Forms"]
    assert len(made.find("%d item\n").msgstr_plural) == forms


def test_new_translations_are_marked_fuzzy_if_wanted(translate):
    made = entries(translate(CATALOGUE.encode(), "a.po", mark_fuzzy=True))

    assert [id for id, entry in made.items() if entry.fuzzy] == [
        "Buy",
        "%d item\n",
        "Old",
        "42",
    ]


def test_translation_that_lost_a_placeholder_is_marked_fuzzy():
    draft = parse(CATALOGUE.encode(), OPTIONS)

    made = entries(draft.render([Translated("x", text.text == "Buy") for text in draft.segments]))

    assert [id for id, entry in made.items() if entry.fuzzy] == ["%d item\n", "Old"]


def test_declared_charset_is_read_and_given_up_if_it_lacks_a_character(translate):
    content = CATALOGUE.replace("UTF-8", "ISO-8859-1").replace("Verkaufen", "Löschen")

    kept = translate(content.encode("latin-1"), "a.po")
    changed = translate(content.encode("latin-1"), "a.po", lambda text: "один")

    assert "Löschen" in kept.decode("latin-1")
    assert "charset=ISO-8859-1" in kept.decode("latin-1")
    assert "charset=UTF-8" in changed.decode()
    assert entries(changed)["Buy"].msgstr == "один"


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]))


WORDS = st.sampled_from(["", "a", "a comment", "word " * 30 + "end"])


@given(st.dictionaries(TEXTS.filter(bool), st.tuples(TEXTS, WORDS)), st.sampled_from([78, 0]))
def test_what_polib_writes_comes_back_as_it_was(texts, width):
    catalogue = polib.POFile(wrapwidth=width)
    catalogue.metadata = {"Content-Type": "text/plain; charset=UTF-8", "Language": "de"}
    catalogue.metadata["Plural-Forms"] = "nplurals=2; plural=(n != 1);"
    for id, (translation, comment) in texts.items():
        catalogue.append(polib.POEntry(msgid=id, msgstr=translation or "x", comment=comment))

    assert parse(f"{catalogue}".encode(), OPTIONS).render([]) == f"{catalogue}".encode()


def test_name_of_a_file_is_no_catalogue(tmp_path):
    (tmp_path / "msgid").write_text(CATALOGUE, encoding="utf-8")

    with pytest.raises(InvalidDocument):
        parse(str(tmp_path / "msgid").encode(), OPTIONS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "it has no msgid"),
        ("nonsense", "it has no msgid"),
        ('msgid "a"\nnonsense\n', "from line 2 on"),
        ('msgid "a" b"\nmsgstr ""\n', "from line 1 on"),
        ('msgstr[x] "a"\nmsgid "b"', "the file is no catalogue"),
    ],
)
def test_what_is_no_catalogue_is_refused(content, message):
    with pytest.raises(InvalidDocument, match=message):
        parse(content.encode(), OPTIONS)
