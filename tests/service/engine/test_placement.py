"""Where marks go, with words that are known to stand for each other."""

import numpy as np
import pytest

from service.engine.alignment import WordShares, words
from service.engine.markup import Markup
from service.engine.protection import protect
from service.engine.restoration import restore


def translate(text: str, decoded: str, links: list[tuple[int, int]], kind: str | None = "html"):
    """Translate one sentence by hand: `links` are pairs of words, of the source and the target."""
    markup = Markup(kind) if kind else None
    layout = protect(
        text,
        "en",
        split="nonewlines",
        markup=markup,
        fits=lambda _: True,
        is_known=lambda c: c.isascii(),
    )
    [sentence] = layout.sentences
    source, target = words(sentence.text), words(decoded)
    shares = np.zeros((len(target), len(source)))
    for i, j in links:
        shares[j, i] = 1
    restored = restore(sentence, decoded, WordShares(source, target, shares))
    return layout.join([restored.text]), restored.lost


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("She saw <b>the</b> house", "Sie hat <b>das</b> Haus gesehen"),
        ("She <b>saw</b> the house", "Sie hat das Haus <b>gesehen</b>"),
        ("She saw <b>the <i>house</i></b>", "Sie hat <b>das <i>Haus</i></b> gesehen"),
        ("<b>She</b> <i>saw</i> the house", "<b>Sie</b> hat das Haus <i>gesehen</i>"),
        ("<b>She saw the house</b>", "<b>Sie hat das Haus gesehen</b>"),
        ("She saw the<img> house", "Sie hat das<img> Haus gesehen"),
        ("She saw the <img>house", "Sie hat das <img>Haus gesehen"),
        ("She saw the <b></b>house", "Sie hat das <b></b>Haus gesehen"),
        ("She</b> saw the house", "Sie</b> hat das Haus gesehen"),
        ("She saw the <b>house", "Sie hat das <b>Haus gesehen"),
    ],
)
def test_tag_goes_where_the_words_went_that_it_encloses(text, expected):
    links = [(0, 0), (1, 4), (1, 1), (2, 2), (3, 3)]

    assert translate(text, "Sie hat das Haus gesehen", links) == (expected, ())


def test_tags_that_cross_keep_their_order():
    links = [(0, 2), (1, 1), (2, 0)]

    crossed, _ = translate("<b>a <i>b</b> c</i>", "x y z", links)

    assert [each for each in ("<b>", "<i>", "</b>", "</i>") if each in crossed] == sorted(
        ("<b>", "<i>", "</b>", "</i>"), key=crossed.index
    )


def test_placeholder_stands_where_its_proxy_was_copied():
    links = [(0, 1), (1, 0)]

    assert translate("{name} sleeps", "schläft Tom", links, None)[0] == "schläft {name}"
    assert translate("{name}'s house", "Toms Haus", links, None)[0] == "{name}s Haus"
    assert translate("a@b.org helps", "Toms Hilfe", links, None)[0] == "a@b.org Hilfe"


def test_placeholder_takes_the_place_of_a_word_that_was_made_of_its_proxy():
    links = [(0, 0), (1, 1)]

    assert translate("{name} sleeps", "Thomas schläft", links, None) == ("{name} schläft", ())
    assert translate("%d dogs", "dreiundzwanzig Hunde", links, None) == ("%d Hunde", ())


def test_placeholder_that_the_model_passed_over_is_put_where_it_was():
    assert translate("Hi {name} there", "Hallo da", [(0, 0), (2, 1)], None) == (
        "Hallo {name} da",
        (),
    )
    assert translate("{name} sleeps", "", [], None) == ("{name}", ())


def test_copy_of_a_proxy_too_many_is_left_out():
    translated, _ = translate("{name} sleeps", "Tom schläft Tom", [(0, 2), (1, 1)], None)

    assert translated == "schläft {name}"


def test_number_that_was_written_down_wrongly_is_mended():
    links = [(0, 0), (1, 1), (2, 2)]

    assert translate("In 1984 he", "In 1948 er", links, None) == ("In 1984 er", ())
    assert translate("In 1984 he", "In jenem er", links, None) == ("In jenem er", ("1984",))


def test_white_space_within_a_sentence_goes_to_the_aligned_space():
    links = [(0, 1), (1, 2), (2, 0)]

    assert translate("a\nb  c", "z x y", links, None)[0].count("\n") == 1
    assert translate("one\ntwo", "eins zwei", [(0, 0), (1, 1)], None) == ("eins\nzwei", ())
    assert translate("one\ntwo", "beide", [(0, 0), (1, 0)], None) == ("beide", ("\n",))


def test_what_the_model_writes_is_escaped():
    assert translate("<b>a</b> b", "x<y & z", [(0, 0)])[0].count("&lt;") == 1
    assert translate("a\x07b", "x y", [(0, 0), (1, 1)], None)[0] == "x\x07y"
    assert translate("a b", "x\x00\ud800y", [], "xml")[0] == "xy"
