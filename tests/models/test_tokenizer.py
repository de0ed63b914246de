"""Text to ids and back, and what no text can do."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.normalisation import normalise
from models.tokenizer import BOS, EOS, PAD, UNK, Tokenizer, target_tag

ROOT = Path(__file__).parents[2]
TEXTS = [
    "Das Haus am See ist alt und sch\u00f6n.",
    "The house at the lake is old and beautiful.",
    "Wir gehen morgen in die Stadt, um Brot zu kaufen.",
    "We go to the city tomorrow to buy bread.",
] * 3
TAGS = [target_tag("de"), target_tag("en")]
KINDS = ["bpe", "unigram", "char"]


def train(kind, normalisation="NFC", texts=TEXTS, case="as-is"):
    return Tokenizer.train(
        texts, kind=kind, size=320, normalisation=normalisation, case=case, tags=TAGS
    )


@pytest.fixture(scope="module")
def tokenizers():
    return {kind: train(kind) for kind in KINDS}


@pytest.fixture(scope="module")
def inline():
    return {kind: train(kind, case="inline") for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=30))
@example(text="Das Haus \U0001f600\U0001f469\u200d\U0001f467 am See")
@example(text="\u6f22\u5b57\u3068\u304b\u306a")
@example(text="\u2581already\u2581there \u2581")
@example(text="e\u0301 a\u0308\u0323 \u0301")
@example(text="<s></s><unk><pad><2de><0x41>")
@example(text="  two   blanks ")
@example(text="")
def test_decoding_gives_back_the_normalised_text(text, kind, tokenizers):
    tokenizer = tokenizers[kind]

    assert tokenizer.decode(tokenizer.encode(text)) == normalise(text, "NFC")


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=30) | st.text("aAäÄßẞİςΣǆǅǄﬁ\u0345\u03013_'- ", max_size=30))
@example(text="Das HAUS am See, E-Mail und McDonald's: ŉ ΑΣ Σας A4")
@example(text="\x01hallo \x02welt <title> <upper> <0x01>")
@example(text="\u2581Already\u2581THERE \u2581")
@example(text="漢字 漢A A漢 ABC漢")
@example(text="")
def test_inline_case_gives_back_the_normalised_text(text, kind, inline):
    ids = inline[kind].encode(text)

    assert inline[kind].decode(ids) == normalise(text, "NFC")


@pytest.mark.parametrize("kind", KINDS)
def test_inline_case_lets_all_writings_of_a_word_share_its_pieces(kind, inline):
    tokenizer = inline[kind]
    title, upper = tokenizer.case_ids
    small = tokenizer.encode("das haus (brot)")

    assert tokenizer.encode("Das Haus (brot)")[0] == title
    assert tokenizer.encode("DAS haus (brot)") == [upper, *small]
    for text in ("Das Haus (brot)", "DAS HAUS (BROT)", "das Haus (Brot)"):
        assert [id for id in tokenizer.encode(text) if id not in (title, upper)] == small


@pytest.mark.parametrize("text", ["\x01das", "\x01\x02 \x02", "<title>", "<0x01>das", "\ue001das"])
def test_no_text_can_write_a_token_of_case(text, inline):
    assert not set(inline["bpe"].case_ids) & set(inline["bpe"].encode(text))


def test_tokens_of_case_out_of_place_have_no_text(inline):
    tokenizer = inline["bpe"]
    title, upper = tokenizer.case_ids
    the, house = tokenizer.encode("the"), tokenizer.encode("house")

    assert tokenizer.decode([title, title, *the, upper, *house, title]) == "The HOUSE"
    assert tokenizer.decode([title, upper, EOS]) == ""


def test_inline_case_names_its_tokens_among_the_pieces(inline):
    tokenizer = inline["bpe"]

    pieces = tokenizer.pieces(tokenizer.encode("Das Haus AM See"))

    names = [piece for piece in pieces if piece.startswith("<")]
    assert names == ["<title>", "<title>", "<upper>", "<title>"]
    spelled = "".join(piece for piece in pieces if piece not in names)
    assert spelled == "\u2581das\u2581haus\u2581am\u2581see"


def test_inline_case_is_not_for_words():
    with pytest.raises(ValueError, match=r"tokenizer\.case inline"):
        train("word", case="inline")


@pytest.mark.parametrize(("made", "opened"), [("as-is", "inline"), ("inline", "as-is")])
def test_vocabulary_for_another_case_is_refused(made, opened, tmp_path):
    train("bpe", case=made).save(tmp_path / "tokenizer.model")

    with pytest.raises(ValueError, match=f"not made for case {opened}"):
        Tokenizer.open(tmp_path / "tokenizer.model", "NFC", opened)


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=30), form=st.sampled_from(["NFC", "NFKC"]))
def test_normalised_text_stays_as_it_is(text, form):
    once = normalise(text, form)

    assert normalise(once, form) == once


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "text", ["<2de>", "</s>", "<s> <pad> <unk>", "a<2en>b", "\u2581<2de>", "\u6f22\U0001f600"]
)
def test_no_text_becomes_a_control_token_or_an_unknown_one(text, kind, tokenizers):
    tokenizer = tokenizers[kind]
    controls = {PAD, BOS, EOS, UNK, *map(tokenizer.tag_id, TAGS)}

    assert controls.isdisjoint(tokenizer.encode(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10\u00a0000\u202fkm", "10 000 km"),
        ("Donau\u00addampf", "Donaudampf"),
        ("a\t b\r\n\u2028c\u3000", "a b c"),
        ("a\x00b\x1bc\x7f", "abc"),
        ("\ufeffBOM", "BOM"),
        ("a\u2581b", "a_b"),
        ("e\u0301", "\u00e9"),
    ],
)
def test_normalisation_leaves_one_kind_of_space_and_no_control_characters(text, expected):
    assert normalise(text, "NFC") == expected


@pytest.mark.parametrize(
    ("text", "nfc", "nfkc"),
    [
        ("\ufb01ne", "\ufb01ne", "fine"),
        ("\uff21\uff22", "\uff21\uff22", "AB"),
        ("x\u00b2", "x\u00b2", "x2"),
        ("\u00a8", "\u00a8", "\u0308"),
    ],
)
def test_nfkc_folds_what_nfc_keeps(text, nfc, nfkc):
    assert [normalise(text, "NFC"), normalise(text, "NFKC")] == [nfc, nfkc]


def test_tokenizer_uses_its_own_normalisation():
    tokenizer = train("char", normalisation="NFKC")

    assert tokenizer.decode(tokenizer.encode("\ufb01ne")) == "fine"


def test_lone_surrogates_become_replacement_characters(tokenizers):
    tokenizer = tokenizers["bpe"]

    assert tokenizer.decode(tokenizer.encode("a\ud800b")) == "a\ufffdb"


def test_unknown_characters_become_their_utf_8_bytes(tokenizers):
    tokenizer = tokenizers["bpe"]

    bytes_and_space = tokenizer.encode("\U0001f600")

    assert len(bytes_and_space) == 1 + len("\U0001f600".encode())
    assert len(set(bytes_and_space)) == len(bytes_and_space)


def test_broken_bytes_decode_to_replacement_characters(tokenizers):
    tokenizer = tokenizers["bpe"]

    first_bytes = tokenizer.encode("\U0001f600")[:-1]

    assert set(tokenizer.decode(first_bytes)) == {"\ufffd"}


def test_control_tokens_have_no_text(tokenizers):
    tokenizer = tokenizers["bpe"]
    ids = tokenizer.encode("Brot")

    framed = [BOS, tokenizer.tag_id("<2de>"), *ids, EOS, PAD]

    assert tokenizer.decode(framed) == "Brot"


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_spell_the_text_and_name_the_control_tokens(kind, tokenizers):
    tokenizer = tokenizers[kind]
    ids = [tokenizer.tag_id("<2de>"), *tokenizer.encode("Brot am See"), EOS]

    tag, *pieces, end = tokenizer.pieces(ids)

    assert len(pieces) == len(ids) - 2
    assert (tag, "".join(pieces), end) == ("<2de>", "\u2581Brot\u2581am\u2581See", "</s>")


def test_tags_are_found_by_name_and_differ(tokenizers):
    ids = [tokenizers["bpe"].tag_id(tag) for tag in TAGS]

    assert len({*ids, PAD, BOS, EOS, UNK}) == 6


@pytest.mark.parametrize("tag", ["<2fr>", "Brot", "<unk>", ""])
def test_tag_that_is_not_in_the_vocabulary_is_refused(tag, tokenizers):
    with pytest.raises(ValueError, match=f"no tag {tag}"):
        tokenizers["bpe"].tag_id(tag)


@pytest.mark.parametrize("kind", [*KINDS, "word"])
def test_same_texts_train_the_same_vocabulary(kind, tmp_path):
    paths = tmp_path / "first.model", tmp_path / "second.model"

    for path in paths:
        train(kind).save(path)

    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_word_vocabulary_has_whole_words_and_knows_no_others():
    tokenizer = train("word")

    ids = tokenizer.encode("The house Zebra")

    assert len(ids) == 3
    assert ids[2] == UNK
    assert tokenizer.decode(ids[:2]) == "The house"


def test_size_counts_every_id(tokenizers):
    tokenizer = tokenizers["bpe"]

    assert tokenizer.size == 320
    assert max(id for text in TEXTS for id in tokenizer.encode(text)) < 320


def test_saved_vocabulary_opens_as_it_was(tokenizers, tmp_path):
    tokenizers["bpe"].save(tmp_path / "tokenizer.model")

    opened = Tokenizer.open(tmp_path / "tokenizer.model", "NFC")

    assert opened.encode(TEXTS[0]) == tokenizers["bpe"].encode(TEXTS[0])


@pytest.mark.parametrize("content", [b"", b"not a model", None])
def test_file_that_is_no_vocabulary_is_refused_by_name(content, tmp_path):
    path = tmp_path / "broken.model"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ValueError, match=r"broken\.model"):
        Tokenizer.open(path, "NFC")


def test_vocabulary_smaller_than_its_bytes_is_refused():
    with pytest.raises(ValueError, match=r"tokenizer\.size 100"):
        Tokenizer.train(TEXTS, kind="bpe", size=100, normalisation="NFC")


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_samples_are_equal_for_equal_seeds_only(kind, tokenizers):
    samples = [tokenizers[kind].sample(TEXTS, 0.3, seed) for seed in (1, 1, 2)]

    assert samples[0] == samples[1] != samples[2]


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_samples_have_the_same_text_in_other_pieces(kind, tokenizers):
    tokenizer = tokenizers[kind]

    sampled = tokenizer.sample(TEXTS, 0.3, seed=1)

    assert [tokenizer.decode(ids) for ids in sampled] == TEXTS
    assert sampled != [tokenizer.encode(text) for text in TEXTS]


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_samples_with_inline_case_have_the_same_text(kind, inline):
    tokenizer = inline[kind]

    sampled = tokenizer.sample(TEXTS, 0.3, seed=1)

    assert [tokenizer.decode(ids) for ids in sampled] == TEXTS
    assert sampled != [tokenizer.encode(text) for text in TEXTS]


SAMPLE_ELSEWHERE = """
import sys
from pathlib import Path
from models.tokenizer import Tokenizer

tokenizer = Tokenizer.open(Path(sys.argv[1]), "NFC")
print(tokenizer.sample(sys.argv[2:], 0.3, seed=5))
"""


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_samples_are_equal_in_every_process(kind, tokenizers, tmp_path):
    tokenizers[kind].save(tmp_path / "model")
    command = [sys.executable, "-c", SAMPLE_ELSEWHERE, str(tmp_path / "model"), *TEXTS]

    sampled = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert json.loads(sampled) == tokenizers[kind].sample(TEXTS, 0.3, seed=5)
