"""Reading, cleaning, and what must not be learnt."""

import pytest

from training.corpus import (
    HeldOut,
    Report,
    clean,
    find_fault,
    find_leaks,
    load_dev,
    load_tests,
    load_train,
)
from training.pairs import read_pairs
from training.text_recipe import CleaningRecipe, TextRecipe

RULES = CleaningRecipe(max_words=6, max_ratio=3.0, min_ratio_characters=30)
PAIRS = [("Guten Morgen", "Good morning"), ("Das Haus", "The house")]
UNIT = '<tu><tuv xml:lang="{}"><seg>{}</seg></tuv><tuv xml:lang="{}"><seg>{}</seg></tuv></tu>'


def describe(**form):
    return TextRecipe.model_validate({"name": "mine", "languages": ("de", "en"), **form})


def read_tmx(body, folder, head='<tmx version="1.4">'):
    (folder / "mine.tmx").write_text(f"{head}<body>{body}</body></tmx>", encoding="utf-8")
    return list(read_pairs(describe(tmx="mine.tmx"), folder))


def test_two_files_are_read_line_by_line(tmp_path):
    (tmp_path / "a.de").write_bytes("Guten Morgen\nDas \u2028Haus\n".encode())
    (tmp_path / "a.en").write_bytes(b"Good morning\r\nThe house")

    pairs = list(read_pairs(describe(files=("a.de", "a.en")), tmp_path))

    assert pairs == [("Guten Morgen", "Good morning"), ("Das \u2028Haus", "The house")]


def test_files_with_unequal_numbers_of_lines_are_refused_by_name(tmp_path):
    (tmp_path / "a.de").write_text("eins\nzwei\n")
    (tmp_path / "a.en").write_text("one\n")

    with pytest.raises(ValueError, match=r"a\.de and a\.en have different numbers of lines"):
        list(read_pairs(describe(files=("a.de", "a.en")), tmp_path))


def test_unequal_numbers_of_lines_are_told(tmp_path):
    (tmp_path / "a.de").write_text("eins\nzwei\ndrei")
    (tmp_path / "a.en").write_text("one\ntwo\n")

    with pytest.raises(ValueError, match=r"3 lines and 2 lines: line N of both"):
        list(read_pairs(describe(files=("a.de", "a.en")), tmp_path))


@pytest.mark.parametrize(
    ("encoding", "advice"),
    [("utf-16", "line 1: byte 1 is 0xff.*iconv -f utf-16"), ("cp1252", "iconv -f windows-1252")],
)
def test_other_encodings_are_refused_with_advice(encoding, advice, tmp_path):
    (tmp_path / "a.tsv").write_bytes("sch\u00f6n\tnice\n".encode(encoding))

    with pytest.raises(ValueError, match=advice):
        list(read_pairs(describe(tsv="a.tsv"), tmp_path))


@pytest.mark.parametrize("form", [{"files": ("a", "a")}, {"tsv": "a"}], ids=["files", "tsv"])
def test_empty_file_is_refused(form, tmp_path):
    (tmp_path / "a").touch()

    with pytest.raises(ValueError, match="mine: a is empty"):
        list(read_pairs(describe(**form), tmp_path))


def test_mark_of_byte_order_is_no_text(tmp_path):
    (tmp_path / "a.tsv").write_bytes("\ufeffGuten Morgen\tGood morning\n".encode())

    assert list(read_pairs(describe(tsv="a.tsv"), tmp_path)) == PAIRS[:1]


def test_tmx_without_the_languages_is_refused_with_those_it_has(tmp_path):
    body = UNIT.format("de-AT", "Hallo", "fr", "Salut") * 2

    with pytest.raises(ValueError, match=r"both de and en; it has .*de-at \(2 units\)"):
        read_tmx(body, tmp_path)


def test_tsv_gives_its_first_two_columns(tmp_path):
    (tmp_path / "a.tsv").write_text("Guten Morgen\tGood morning\tCC BY\nDas Haus\tThe house\n")

    assert list(read_pairs(describe(tsv="a.tsv"), tmp_path)) == PAIRS


def test_of_a_text_no_more_pairs_are_read_than_are_asked_for(tmp_path):
    (tmp_path / "a.tsv").write_text("Guten Morgen\tGood morning\nDas Haus\tThe house\nonly one\n")

    assert list(read_pairs(describe(tsv="a.tsv", pairs=2), tmp_path)) == PAIRS


def test_tsv_with_one_column_is_refused_with_its_line(tmp_path):
    (tmp_path / "a.tsv").write_text("Guten Morgen\tGood morning\nDas Haus\n")

    with pytest.raises(ValueError, match=r"a\.tsv, line 2"):
        list(read_pairs(describe(tsv="a.tsv"), tmp_path))


@pytest.mark.parametrize(
    "form", [{"files": ("a", "b")}, {"tsv": "a"}, {"tmx": "a"}], ids=["files", "tsv", "tmx"]
)
def test_missing_file_is_refused_by_the_name_of_its_text(form, tmp_path):
    with pytest.raises(ValueError, match=r"mine: .*a"):
        list(read_pairs(describe(**form), tmp_path))


@pytest.mark.parametrize("form", [{"files": ("a", "a")}, {"tsv": "a"}], ids=["files", "tsv"])
def test_text_that_is_not_utf_8_is_refused_by_its_name(form, tmp_path):
    (tmp_path / "a").write_bytes("sch\u00f6n\tnice\n".encode("latin-1"))

    with pytest.raises(ValueError, match=r"mine: .*utf-8"):
        list(read_pairs(describe(**form), tmp_path))


@pytest.mark.parametrize(("first", "second"), [("de", "en"), ("de-AT", "EN-us"), ("DE", "en")])
def test_tmx_is_read_by_language_whatever_the_region(first, second, tmp_path):
    body = UNIT.format(first, "Guten Morgen", second, "Good morning")

    assert read_tmx(body, tmp_path) == PAIRS[:1]


def test_tmx_may_have_the_languages_in_any_order_and_others_between(tmp_path):
    body = (
        '<tu><tuv xml:lang="en"><seg>The house</seg></tuv><tuv xml:lang="den"><seg>?</seg></tuv>'
        '<tuv xml:lang="fr"><seg>?</seg></tuv><tuv xml:lang="de"><seg>Das Haus</seg></tuv></tu>'
    )

    assert read_tmx(body, tmp_path) == PAIRS[1:]


def test_tmx_unit_without_a_second_language_is_passed_over(tmp_path):
    body = UNIT.format("de", "Hallo", "fr", "Salut") + UNIT.format(
        "de", *PAIRS[1][:1], "en", "The house"
    )

    assert read_tmx(body, tmp_path) == PAIRS[1:]


def test_tmx_may_have_a_namespace_and_the_old_name_of_the_language(tmp_path):
    body = UNIT.format("de", "Das Haus", "en", "The house").replace("xml:lang", "lang")

    assert read_tmx(body, tmp_path, '<tmx xmlns="http://www.lisa.org/tmx14">') == PAIRS[1:]


def test_tmx_keeps_marked_words_and_leaves_out_the_codes_and_remarks(tmp_path):
    segment = 'Das <hi type="b">alte</hi> <bpt i="1">&lt;b&gt;</bpt>Haus<ept i="1">&lt;/b&gt;</ept>'
    segment += '<!-- not this --> &amp; <ph>{0}</ph>ich<it pos="end">]</it>'

    pairs = read_tmx(UNIT.format("de", segment, "en", "x"), tmp_path)

    assert pairs == [("Das alte Haus & ich", "x")]


def test_tmx_that_is_cut_off_is_refused_by_the_name_of_its_text(tmp_path):
    (tmp_path / "mine.tmx").write_text("<tmx><body><tu>")

    with pytest.raises(ValueError, match="mine: "):
        list(read_pairs(describe(tmx="mine.tmx"), tmp_path))


def test_tmx_reads_no_other_file(tmp_path):
    (tmp_path / "secret").write_text("secret")
    head = f'<!DOCTYPE tmx [<!ENTITY x SYSTEM "{tmp_path / "secret"}">]><tmx>'

    pairs = read_tmx(UNIT.format("de", "a &x; b", "en", "c"), tmp_path, head)

    assert "secret" not in pairs[0][0]


def test_tmx_with_an_entity_bomb_does_not_explode(tmp_path):
    entities = '<!ENTITY a0 "aaaaaaaaaa">' + "".join(
        f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10)
    )
    head = f"<!DOCTYPE tmx [{entities}]><tmx>"
    try:
        size = sum(map(len, read_tmx(UNIT.format("de", "&a9;", "en", "c"), tmp_path, head)[0]))
    except ValueError:
        size = 0

    assert size < 100


@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        (("", "Nothing"), "empty side"),
        (("\u00a0 \u00ad", "Nothing"), "empty side"),
        (("eins zwei drei vier acht neun zehn", "one two three four"), "too long"),
        (("kurz", "unquestionably incomprehensible things"), "lengths differ"),
        (("Stra\ufffde", "street"), "broken characters"),
        (("12 345 - 7", "twelve"), "hardly any letters"),
        (("New York", "New\u00a0York"), "both sides equal"),
    ],
)
def test_unusable_pair_is_dropped_and_its_reason_counted(pair, reason):
    report = Report("mine")

    kept = list(clean([*PAIRS, pair], RULES, "NFC", report))

    assert kept == PAIRS
    assert report.dropped == {reason: 1}
    assert (report.read, report.kept) == (3, 2)


@pytest.mark.parametrize(
    "pair",
    [
        ("Berlin", "Berlin"),
        ("Ja.", "Yes, that is what I think."),
        ("eins zwei drei vier acht neun", "one two three four eight nine"),
        ("\u6f22\u5b57", "Kanji"),
    ],
)
def test_usable_pair_is_kept(pair):
    assert list(clean([pair], RULES, "NFC", Report("mine"))) == [pair]


def test_pairs_that_are_equal_once_normalised_are_kept_once():
    report = Report("mine")

    kept = list(clean([PAIRS[1], ("Das\u00a0Haus ", "The house")], RULES, "NFC", report))

    assert kept == PAIRS[1:]
    assert report.dropped == {"duplicate": 1}


def test_same_source_with_another_target_is_no_duplicate():
    pairs = [("Das Haus", "The house"), ("Das Haus", "That house")]

    assert list(clean(pairs, RULES, "NFC", Report("mine"))) == pairs


def leak(toy, train, dev, test, leaks="side", languages=("de", "en")):
    toy.write("dev", dev)
    toy.write("test", test)
    recipe = toy.open(corpus__leaks=leaks).recipe.corpus
    text = describe(files=("a", "b"), languages=languages)
    return find_leaks(train, text, recipe, toy.corpora)


@pytest.mark.parametrize("leaked", [("Das Haus", "Another"), ("Ein anderes", "The house")])
def test_one_side_in_common_is_a_leak(leaked, toy):
    assert leak(toy, PAIRS, [("Hund", "dog")], [leaked]) == [(), ("toy test",)]


def test_leak_names_every_text_that_holds_the_pair(toy):
    assert leak(toy, PAIRS, PAIRS[:1], PAIRS) == [("toy dev", "toy test"), ("toy test",)]


def test_case_punctuation_and_spacing_do_not_hide_a_leak(toy):
    hidden = [("\u201eDAS\u00a0 haus!\u201c", "Another")]

    assert leak(toy, PAIRS, [("Hund", "dog")], hidden) == [(), ("toy test",)]


def test_sides_are_compared_by_language(toy):
    # the German "Handy" is no leak of the English one
    assert leak(toy, [("Handy", "mobile")], [("Hund", "dog")], [("praktisch", "handy")]) == [()]


def test_text_with_its_languages_the_other_way_round_leaks_too(toy):
    turned = [(english, german) for german, english in PAIRS]

    leaks = leak(toy, turned, [("Hund", "dog")], PAIRS, languages=("en", "de"))

    assert leaks == [("toy test",)] * 2


def test_whole_pairs_leak_when_the_recipe_says_pair(toy):
    half = leak(toy, PAIRS, [("Hund", "dog")], [("Das Haus", "Another")], leaks="pair")
    whole = leak(toy, PAIRS, [("Hund", "dog")], [("das haus", "the house.")], leaks="pair")

    assert half == [(), ()]
    assert whole == [(), ("toy test",)]


def test_sides_of_punctuation_alone_are_no_leak(toy):
    assert leak(toy, [("...", "Well")], [("Hund", "dog")], [("!?", "dog")]) == [()]


def write_leaks(toy):
    """Let two training pairs occur in dev, and one of them in the test too."""
    toy.write("train", [*PAIRS, ("Die Katze", "The cat")])
    toy.write("dev", PAIRS)
    toy.write("test", PAIRS[1:])


def test_text_that_leaks_is_refused_with_a_count_for_each_file(toy):
    write_leaks(toy)

    with pytest.raises(ValueError, match=r"toy train: .*\(2 in toy dev, 1 in toy test\)"):
        list(load_train(toy.open()))


def test_pairs_that_leak_are_dropped_and_counted_when_the_recipe_says_so(toy):
    write_leaks(toy)

    ((_, pairs, report),) = load_train(toy.open(corpus__on_leak="drop"))

    assert pairs == [("Die Katze", "The cat")]
    assert report.dropped == {"in held-out text": 2}


def test_training_text_is_cleaned_and_kept_apart_from_dev_and_test(toy):
    ((text, pairs, report),) = load_train(toy.open())

    assert text.name == report.name == "toy train"
    assert len(pairs) == report.kept == report.read == 56


def test_held_out_text_is_turned_to_each_direction_and_left_as_it_is(toy):
    toy.write("test", [("  zwei  Leerzeichen", ""), ("", "x")])

    forwards, backwards = load_tests(toy.open(corpus__directions=[["de", "en"], ["en", "de"]]))

    assert forwards == HeldOut("toy test", "de", "en", ["  zwei  Leerzeichen", ""], ["", "x"])
    assert backwards == HeldOut("toy test", "en", "de", ["", "x"], ["  zwei  Leerzeichen", ""])


def test_lines_of_a_test_text_may_be_joined_to_be_read_as_one_sentence(toy):
    toy.write("test", [("Eins.", "One."), ("Zwei.", "Two."), ("Drei.", "Three.")])
    text = {"name": "t", "languages": ["de", "en"], "files": ["test.de", "test.en"], "joined": 2}

    (joined,) = load_tests(toy.open(corpus__tests=[text]))

    assert joined.name == "t, 2 lines joined"
    assert joined.sources == ["Eins. Zwei.", "Drei."]
    assert joined.references == ["One. Two.", "Three."]
    assert not joined.is_split


def test_held_out_text_of_other_languages_is_left_out(toy):
    tests = [{"name": "other", "languages": ["de", "fr"], "files": ["test.de", "test.en"]}]

    assert load_tests(toy.open(corpus__tests=tests)) == []


def test_dev_texts_of_a_direction_are_one_up_to_the_limit(toy):
    texts = [
        {"name": "one", "languages": ["de", "en"], "files": ["dev.de", "dev.en"]},
        {"name": "two", "languages": ["en", "de"], "files": ["test.en", "test.de"]},
    ]
    toy.write("dev", PAIRS)
    toy.write("test", [("Hund", "dog"), ("Katze", "cat")])

    (dev,) = load_dev(toy.open(corpus__dev=texts, corpus__tests=[]), 3)

    assert dev.name == "one, two"
    assert dev.sources == ["Guten Morgen", "Das Haus", "Hund"]
    assert dev.references == ["Good morning", "The house", "dog"]


def test_figures_are_kept_where_the_recipe_asks_for_no_letters():
    rules = CleaningRecipe(max_words=6, max_ratio=3.0, min_ratio_characters=30, min_letters=0)

    assert find_fault(("12+34", "46"), RULES) == "hardly any letters"
    assert find_fault(("12+34", "46"), rules) is None
