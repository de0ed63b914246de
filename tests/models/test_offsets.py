"""Where characters and tokens stand in the text that was given: through all that is done to it."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.normalisation import normalise, trace
from models.tokenizer import EOS, Tokenizer, target_tag

TEXTS = [
    "Das Haus am See ist alt und schön.",
    "The house at the lake is old and beautiful.",
    "Wir gehen morgen in die STADT, um Brot zu kaufen.",
] * 3
# What normalisation composes, folds, joins or removes, and letters whose cases are not one to one.
NASTY = "aAßẞİςΣǆǅﬁŉé각가ᄀ\u1161\u11a8\u0345\u0301\u0323\u3099ﾞか\u0344\u00ad\u200b\u00a8\u2581\x01\ud800 \n\u3000😀"  # noqa: E501
ANY_TEXT = st.text(max_size=20) | st.text(NASTY, max_size=20)


def train(case):
    return Tokenizer.train(
        TEXTS, kind="bpe", size=340, normalisation="NFC", case=case, tags=[target_tag("en")]
    )


TOKENIZERS = {case: train(case) for case in ("as-is", "inline")}


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
@settings(max_examples=300, deadline=None)
@given(text=ANY_TEXT)
@example(text=" \u00ada\u00ad \u200b b ")
@example(text="\u1100\u1161\u11a8\u0301")
@example(text="aﾞ\u0300")
def test_characters_are_traced_to_those_they_were_made_from(text, form):
    normalised, spans = trace(text, form)

    assert normalised == normalise(text, form)
    assert len(spans) == len(normalised)
    assert spans == sorted(spans)
    made_from = dict.fromkeys(spans, "")
    for character, span in zip(normalised, spans, strict=True):
        made_from[span] += character
    for (begin, end), made in made_from.items():
        # Not always all of it: U+00A8 is a space and a mark in NFKC, and the space joins others.
        assert made.strip() in normalise(text[begin:end], form)
        assert form == "NFKC" or normalise(text[begin:end], form) == made.strip()


@pytest.mark.parametrize("case", TOKENIZERS)
@settings(max_examples=300, deadline=None)
@given(text=ANY_TEXT)
@example(text="Das HAUS, 漢字😀 e\u0301\u00ad!")
@example(text="  iPhone   ABC \u00ad")
def test_tokens_of_a_text_stand_for_all_that_is_visible_in_it(text, case):
    tokenizer = TOKENIZERS[case]

    ids, spans = tokenizer.encode_with_offsets(text)

    assert ids == tokenizer.encode(text)
    assert len(spans) == len(ids)
    assert all(0 <= begin <= end <= len(text) for begin, end in spans)
    assert [begin for begin, _ in spans] == sorted(begin for begin, _ in spans)
    covered = {i for begin, end in spans for i in range(begin, end)}
    rest = "".join(character for i, character in enumerate(text) if i not in covered)
    assert normalise(rest, "NFC") == ""
    assert not any(text[i].isspace() for i in covered)


@pytest.mark.parametrize("case", TOKENIZERS)
@settings(max_examples=300, deadline=None)
@given(ids=st.lists(st.integers(0, TOKENIZERS["inline"].size - 1), max_size=20))
def test_tokens_become_the_text_one_after_the_other(ids, case):
    tokenizer = TOKENIZERS[case]
    ids = [id for id in ids if id < tokenizer.size]

    text, spans = tokenizer.decode_with_offsets(ids)

    assert text == tokenizer.decode(ids)
    assert len(spans) == len(ids)
    parts = [text[begin:end] for begin, end in dict.fromkeys(spans)]
    assert "".join(parts) == text.replace(" ", "")


@pytest.mark.parametrize("case", TOKENIZERS)
@pytest.mark.parametrize("text", ["Das HAUS, am See 😀 ist schön.", "The lake"])
def test_words_that_were_encoded_are_found_where_they_stand(text, case):
    tokenizer = TOKENIZERS[case]
    ids, in_source = tokenizer.encode_with_offsets(f" {text}")

    decoded, in_target = tokenizer.decode_with_offsets([*ids, EOS])

    assert decoded == text
    assert in_target[:-1] == [(begin - 1, end - 1) for begin, end in in_source]
    assert in_target[-1] == (len(text), len(text))


def test_token_of_case_stands_before_its_word():
    tokenizer = TOKENIZERS["inline"]

    ids, spans = tokenizer.encode_with_offsets("am See")

    assert spans[ids.index(tokenizer.case_ids[0])] == (3, 3)
    assert tokenizer.decode_with_offsets(ids)[1] == spans


@pytest.mark.parametrize("case", TOKENIZERS)
def test_all_bytes_of_a_character_have_its_span(case):
    tokenizer = TOKENIZERS[case]

    ids, in_source = tokenizer.encode_with_offsets("am 😀!")
    _, in_target = tokenizer.decode_with_offsets(ids)

    assert in_source.count((3, 4)) == in_target.count((3, 4)) == len("😀".encode())


def test_digraph_in_title_case_is_one_letter():
    tokenizer = TOKENIZERS["inline"]
    ids, spans = tokenizer.encode_with_offsets("ǅep")

    assert tokenizer.case_ids[0] in ids
    assert tokenizer.decode_with_offsets(ids) == ("ǅep", spans)


def test_letter_that_becomes_two_is_one_token_still():
    tokenizer = TOKENIZERS["inline"]
    upper = tokenizer.case_ids[1]

    ids = tokenizer.encode("straße")
    text, spans = tokenizer.decode_with_offsets([upper, *ids])

    assert text == "STRASSE"
    assert "".join(text[begin:end] for begin, end in dict.fromkeys(spans)) == text
