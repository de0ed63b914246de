import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.placeholders import find, is_left_to_the_model


def is_latin(character: str) -> bool:
    return ord(character[0]) < 0x250


def found(text: str) -> list[tuple[str, str]]:
    return [(text[each.begin : each.end], each.kind) for each in find(text, is_latin)]


@pytest.mark.parametrize(
    "placeholder",
    [
        *("{name}", "{0}", "{}", "{user.name}", "{{ x }}", "{{{x}}}", "${x}", "#{x}", "%{x}"),
        *("%s", "%1$s", "%(name)s", "%@", "%-10s", "%name%", "{% now %}", "[X7X]", "[X123X]"),
        "{count, plural, one {# file} other {# files in {n, plural, other {#}}}}",
        "{who,select,female{her}other{them}}",
        *("john.doe+spam@mail.example.org", "@john", "#tag", "AT&amp;T", "caf&eacute;", "東京"),
        *("Москва", "Москва и Киев", "\ufffc"),
    ],
)
def test_what_takes_part_in_a_sentence_is_a_name(placeholder):
    assert found(f"See {placeholder}, please.") == [(placeholder, "name")]


@pytest.mark.parametrize(
    "placeholder", ["%d", "%5.2f", "%(n)i", "%1$d", "{count}", "{{ messageCount }}", "1,234.56"]
)
def test_what_stands_for_a_number_is_one(placeholder):
    assert found(f"See {placeholder}, please.") == [(placeholder, "number")]


@pytest.mark.parametrize(
    "url",
    [
        *("https://example.com/a?b=c&d=(e)#f", "http://x.y", "www.example.com", "mailto:a@b.c"),
        *("ftp://x/y.z", "example.org", "docs.example.org/a/b.html"),
    ],
)
def test_url_ends_before_the_punctuation_of_its_sentence(url):
    assert found(f"See {url}. (Or {url})!") == [(url, "place")] * 2


@pytest.mark.parametrize(
    "sign",
    ["😀", "👩‍👩‍👧", "👍🏽", "🇩🇪", "1️⃣", "❤️", "→", "→→", "&nbsp;", "&#169;", "<br/>", "<!-- c -->"],
)
def test_sign_stands_beside_words(sign):
    assert found(f"See {sign} here.") == [(sign, "point")]


@pytest.mark.parametrize(
    ("opening", "closing"), [("<b>", "</b>"), ("&lt;g id=1&gt;", "&lt;/g&gt;")]
)
def test_tags_in_plain_text_are_the_ends_of_an_element(opening, closing):
    assert found(f"See {opening}it{closing}.") == [(opening, "open"), (closing, "close")]


@pytest.mark.parametrize(
    "text",
    [
        *("10% sure", "50%s", "a < b > c", "{ not this }", "1st, B2B and H2O", "Really? I do."),
        *("Größe: 5 €", "Wait... what", "me@home", "He paid (all).", "{a, b}", "e.g. this"),
        "{count, plural, never closed",
    ],
)
def test_plain_words_are_the_models(text):
    assert [each for each in found(text) if each[1] != "point" or each[0] != "€"] == []


@pytest.mark.parametrize("number", ["1", "42", "1999", "2099"])
def test_small_numbers_and_years_are_left_to_the_model(number):
    assert is_left_to_the_model(number)


@pytest.mark.parametrize("number", ["100", "4711", "0.5", "12:30", "1,000", "9" * 5000])
def test_other_numbers_are_not(number):
    assert not is_left_to_the_model(number)


@given(st.text() | st.text("{}%<>&;/a1@.# \u0301😀é漢\ud800\ufffc\u200d"))
def test_placeholders_stand_in_order_and_none_overlaps_another(text):
    places = [place for each in find(text, is_latin) for place in (each.begin, each.end)]

    assert places == sorted(places)
    assert all(0 <= place <= len(text) for place in places)
    assert all(each.begin < each.end for each in find(text, is_latin))


@given(st.text(st.characters(min_codepoint=0x250, exclude_categories=("Z", "C"))))
def test_nothing_that_the_vocabulary_lacks_is_overlooked(text):
    kept = "".join(text[each.begin : each.end] for each in find(text, lambda _: False))

    assert kept.replace(" ", "") == text
