import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.tokenizer import EOS, Tokenizer
from service.engine.constraints import Constraints
from service.engine.model import open_translator
from service.engine.terms import FoundTerm, Term, Terms, constraints_of, used_terms
from service.engine.translation import TermUse, Translation, TranslationOptions
from service.engine.translator import Translator

TEXTS = [
    "Das Haus am Ende der Straße ist klein, aber schön.",
    "Der Haustürschlüssel liegt (hoffentlich) im Haus.",
    "Im alten Haus (Haus am See) wohnt ein Hund.",
    "New York ist groß, die New York Times auch.",
    "Der Hund bellt, die Hunde bellen, hundert Hunde.",
]


@pytest.fixture(scope="module", params=["as-is", "inline"])
def tokenizer(request) -> Tokenizer:
    return Tokenizer.train(TEXTS, kind="bpe", size=360, normalisation="NFC", case=request.param)


def found(sentence: str, *terms: Term) -> list[str]:
    return [sentence[slice(*each.span)] for each in Terms(terms).find(sentence)]


def test_terms_are_whole_words_in_any_case():
    house = Term("Haus", "house")

    assert found("Das Haus, das HAUS, ein haus.", house) == ["Haus", "HAUS", "haus"]
    assert found("Häuser, Haustür, Hausboot, Rathaus, Haus_1", house) == []
    assert found("Haus-Tür (Haus)", house) == ["Haus", "Haus"]


def test_longest_term_wins_and_places_do_not_overlap():
    terms = Term("New York", "a"), Term("York Times", "b"), Term("New York Times", "c")

    assert found("the New York Times of New  York", *terms) == ["New York Times", "New  York"]
    assert found("the New York Times", *terms[:2]) == ["New York"]


def test_case_counts_where_an_entry_says_so_but_for_a_first_capital():
    strict = Term("us", "uns", is_case_sensitive=True)

    assert found("Us and us and US", strict) == ["Us", "us"]
    assert found("US, us", Term("US", "USA", is_case_sensitive=True)) == ["US"]
    both = Terms([Term("us", "uns"), Term("US", "USA", is_case_sensitive=True)])
    assert [x.term.target for x in both.find("us US")] == ["uns", "USA"]


def test_terms_may_hold_signs_and_scripts_without_spaces():
    assert found("C++ and C# are not C.", Term("C++", "x"), Term("C#", "y")) == ["C++", "C#"]
    assert found("l'hôtel d'été", Term("hôtel", "x"), Term("été", "y")) == ["hôtel", "été"]
    assert found("我喜欢机器翻译。", Term("机器", "machine")) == ["机器"]


@given(st.lists(st.sampled_from(["a", "b", "A", "c"]), max_size=8), st.integers(1, 3))
def test_sentence_of_one_term_has_nothing_else(words, size):
    source = " ".join(["a", "b", "c"][:size])
    sentence = " ".join(words)

    places = found(sentence, Term(source, "x"))

    # Every place is the term, and what is left between them does not hold it any more.
    assert all(each.lower() == source for each in places)
    rest = f" {sentence.lower()} "
    for _ in places:
        rest = rest.replace(f" {source} ", " | ", 1)
    assert f" {source} " not in rest


def test_terms_of_a_sentence_count_as_used_once_each():
    dog = Term("Hund", "dog")

    assert used_terms([dog, dog, dog], "The dog and the dog.") == [True, True, False]
    assert used_terms([dog], "Dog") == [True]
    assert used_terms([dog], "DOG, dogs, hotdog") == [False]
    assert used_terms([Term("x", "New York")], "in New\u00a0York.") == [True]
    assert used_terms([Term("x", "Dog")], "a dog") == [False]


def met(tokenizer: Tokenizer, target: str, translation: str) -> bool:
    """Whether the tokens of a translation meet the constraint of a term."""
    [constraint] = constraints_of([FoundTerm(Term("x", target), (0, 1))], tokenizer, [(0, 1)])
    constraints = Constraints([constraint], tokenizer.case_ids)
    progress, last = constraints.beginning, 1
    for token in tokenizer.encode(translation):
        progress, last = constraints.advance(progress, last, token), token
    return constraints.num_left(progress) == 0


@pytest.mark.parametrize(
    ("target", "translation", "is_met"),
    [
        ("Haus", "Das Haus ist klein.", True),
        ("Haus", "Das Haus.", True),
        ("Haus", "Das Haus", True),
        ("Haus", "Ein (Haus) und", True),
        ("Haus", "Haus-Hund", True),
        ("Haus", "Das Haustürschlüssel", False),
        ("Haus", "das haus", False),
        ("Haus", "das HAUS", False),
        ("klein", "Klein ist es.", True),
        ("klein", "so Klein", False),
        ("New York", "in New York, die", True),
        ("New York", "New Yorks", False),
        ("Hund", "hundert Hunde", False),
    ],
)
def test_constraint_is_met_by_tokens_as_the_term_is_used_by_text(
    tokenizer, target, translation, is_met
):
    assert met(tokenizer, target, translation) == is_met
    if is_met:
        assert used_terms([Term("x", target)], translation) == [True]


@given(st.sampled_from(TEXTS), st.data())
def test_constraint_that_is_met_means_that_the_text_has_the_term(tokenizer, text, data):
    words = text.split()
    begin = data.draw(st.integers(0, len(words) - 1))
    target = " ".join(words[begin : begin + data.draw(st.integers(1, 2))]).strip("(),.")

    assert met(tokenizer, target, text)
    assert used_terms([Term("x", target)], text) == [True]


def test_constraint_knows_the_source_tokens_that_it_translates(tokenizer):
    sentence = "Das alte Haus ist schön"
    spans = [(0, 0), *tokenizer.encode_with_offsets(sentence)[1]]
    terms = Terms([Term("Haus", "house")]).find(sentence)

    [constraint] = constraints_of(terms, tokenizer, spans)

    ids = [EOS, *tokenizer.encode(sentence)]
    place = tokenizer.decode([ids[i] for i in sorted(constraint.places)])
    assert place.strip().lower() == "haus"


def test_words_that_no_token_can_write_make_no_constraint():
    words = Tokenizer.train(TEXTS, kind="word", size=60, normalisation="NFC")
    terms = [FoundTerm(Term("x", each), (0, 1)) for each in ("Krokodil", "Hund")]

    assert len(constraints_of(terms, words, [(0, 1)])) == 1


@pytest.fixture(scope="module", params=["fp32", "int8"])
def translator(listed_bundle, request) -> Iterator[Translator]:
    opened = open_translator(listed_bundle.path, ("de", "en"), variant=request.param)
    yield opened
    opened.close()


def translate(translator: Translator, text: str, *terms: Term, **options) -> Translation:
    return asyncio.run(translator.translate(text, TranslationOptions(terms=terms, **options)))


HOUSE, DOG = Term("Haus", "building"), Term("Hund", "small dog")


@pytest.mark.parametrize("beam", [None, 1, 3])
def test_translation_has_the_terms_that_its_text_has(translator, beam):
    text = "Das Haus ist klein. Ich sehe einen Hund und Katzen."

    translation = translate(translator, text, HOUSE, DOG, Term("Maus", "mouse"), beam=beam)

    assert translation.terms == (
        TermUse("Haus", "building", is_used=True),
        TermUse("Hund", "small dog", is_used=True),
    )
    assert used_terms([HOUSE, DOG], translation.text) == [True, True]
    assert used_terms([HOUSE, DOG], translate(translator, text).text) == [False, False]


def test_sentences_without_terms_are_translated_as_ever(translator):
    text = "Guten Morgen. Das Haus ist klein. Ich sehe zwei Katzen."

    def sentences(*terms: Term) -> list[tuple[str, float]]:
        translation = translate(translator, text, *terms, use_cache=False)
        each = translation.sentences
        return [(translation.text[slice(*x.target_span)], x.score) for x in each]

    free, held = sentences(), sentences(HOUSE)

    assert (held[0], held[2]) == (free[0], free[2])
    assert held[1] != free[1]


def test_term_that_cannot_be_had_is_told(translator):
    long = Term("Haus", "one two three four five six seven eight nine ten eleven twelve")

    translation = translate(translator, "Das Haus ist klein.", long, max_tokens=5)

    assert translation.terms == (TermUse("Haus", long.target, is_used=False),)
