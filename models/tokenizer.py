"""Text to token ids and back: the one tokenizer of training and service.

Both halves see the same text: SentencePiece is given its own normalisation switched off, and
what happens to a text is what `normalise` and, if wanted, `mark_case` say. The manifest records
these choices.

    text -> normalise -> mark_case -> pieces (BPE, unigram, char, word; bytes at last) -> ids
"""

import hashlib
import io
import random
import unicodedata
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import sentencepiece

from models.casing import (
    MARK_NAMES,
    Case,
    mark_case,
    restore_case,
    trace_marks,
    trace_restored,
)
from models.normalisation import Normalisation, Span, normalise, trace

PAD, BOS, EOS, UNK = 0, 1, 2, 3
"""Ids that every vocabulary begins with."""

# Those of a language or two, and of some others.
_REMEMBERED_CHARACTERS = 4096

TokenizerKind = Literal["bpe", "unigram", "char", "word"]

# A mark stands before the space of its word, the first of all too: spaces are left to us.
_INLINE_CASE: dict[str, Any] = {
    "user_defined_symbols": list(MARK_NAMES),
    "add_dummy_prefix": False,
    "remove_extra_whitespaces": False,
}


def _read(text: str, form: Normalisation, case: Case) -> str:
    text = normalise(text, form)
    return mark_case(text) if case == "inline" else text


def target_tag(language: str) -> str:
    """Return the token that asks the network for this target language."""
    return f"<2{language}>"


class _Piece(NamedTuple):
    id: int
    begin: int
    end: int


def _pieces(proto: sentencepiece.ImmutableSentencePieceText) -> list[_Piece]:
    return [_Piece(int(each.id), int(each.begin), int(each.end)) for each in proto.pieces]


class Borders(NamedTuple):
    """Tokens beside which a word ends: what touches it there is no letter and no digit."""

    before_word: frozenset[int]
    after_word: frozenset[int]


def _is_of_word(character: str) -> bool:
    return character.isalnum() or character == "_"


class Tokenizer:
    """A trained vocabulary. Instances may be shared between threads.

    No text can produce a control token (padding, BOS, EOS, a target tag): they exist as
    ids only. With byte fallback no text produces UNK either. A vocabulary with inline case has
    tokens for it, which stand for nothing but the case of the next word.

    Raises:
        ValueError: the model was not made for this kind of case.
    """

    def __init__(self, model: bytes, normalisation: Normalisation, case: Case = "as-is") -> None:
        self._processor = sentencepiece.SentencePieceProcessor()
        self._processor.LoadFromSerializedProto(model)
        self._model = model
        self._normalisation: Normalisation = normalisation
        ids = [int(self._processor.PieceToId(mark)) for mark in MARK_NAMES]
        self.case_ids = tuple(id for id in ids if not self._processor.IsUnknown(id))
        """Tokens that stand for the case of the next word; none unless it is inline."""
        if len(self.case_ids) != (len(MARK_NAMES) if case == "inline" else 0):
            raise ValueError(f"the vocabulary was not made for case {case}")
        self._case: Case = case
        self.can_write = lru_cache(_REMEMBERED_CHARACTERS)(self._can_write)
        """Whether the vocabulary has a character, with its combining marks, otherwise than as
        bytes or UNK."""

    @classmethod
    def open(cls, path: Path, normalisation: Normalisation, case: Case = "as-is") -> Self:
        """Read a vocabulary from a file.

        Raises:
            ValueError: the file is missing, is not a SentencePiece model, or is not one for
                this kind of case.
        """
        try:
            return cls(path.read_bytes(), normalisation, case)
        except (OSError, RuntimeError):
            raise ValueError(f"{path.name} is not a SentencePiece model") from None

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        *,
        kind: TokenizerKind,
        size: int,
        normalisation: Normalisation,
        case: Case = "as-is",
        tags: Sequence[str] = (),
    ) -> Self:
        """Learn a vocabulary of at most `size` tokens, control tokens and bytes included.

        The same texts give the same vocabulary. Byte fallback is always on, except for
        `word`, whose unknown words are UNK: bytes would be words of their own there.

        Raises:
            ValueError: the texts are too few or too uniform for the size asked for, or the
                words of kind `word` are to be marked: a mark would be a part of them.
        """
        if kind == "word" and case == "inline":
            raise ValueError("tokenizer.case inline needs a kind with pieces of words")
        model = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.Train(
                sentence_iterator=iter([_read(text, normalisation, case) for text in texts]),
                model_writer=model,
                model_type=kind,
                vocab_size=size,
                hard_vocab_limit=False,
                byte_fallback=kind != "word",
                character_coverage=0.9999,
                normalization_rule_name="identity",
                control_symbols=list(tags),
                pad_id=PAD,
                bos_id=BOS,
                eos_id=EOS,
                unk_id=UNK,
                num_threads=1,
                minloglevel=2,
                **(_INLINE_CASE if case == "inline" else {}),
            )
        except (RuntimeError, OSError) as error:
            raise ValueError(f"tokenizer.size {size}: {error}") from None
        return cls(model.getvalue(), normalisation, case)

    def save(self, path: Path) -> None:
        """Write the vocabulary to a file that `open` reads."""
        path.write_bytes(self._model)

    @property
    def size(self) -> int:
        """Number of token ids, V."""
        return int(self._processor.GetPieceSize())

    @property
    def sha256(self) -> str:
        """Hash of the vocabulary: equal ones split texts alike."""
        return hashlib.sha256(self._model).hexdigest()

    def tag_id(self, tag: str) -> int:
        """Return the id of a target tag.

        Raises:
            ValueError: the vocabulary has no such control token.
        """
        id = int(self._processor.PieceToId(tag))
        if not self._processor.IsControl(id):
            raise ValueError(f"the vocabulary has no tag {tag}")
        return id

    def is_control(self, id: int) -> bool:
        """Return whether a token is padding, BOS, EOS or a target tag: none of any text."""
        return bool(self._processor.IsControl(id))

    @cached_property
    def borders(self) -> "Borders":
        """The tokens beside which a word ends."""
        before, after = set[int](), set[int]()
        for id in range(self.size):
            text = self._border_text(id)
            if text and not _is_of_word(text[-1]):
                before.add(id)
            if text and not _is_of_word(text[0]):
                after.add(id)
        return Borders(frozenset(before), frozenset(after))

    def _border_text(self, id: int) -> str:
        """Return what a token writes if that is known: nothing of a part of a character."""
        piece = str(self._processor.IdToPiece(id))
        if self._processor.IsByte(id):
            byte = bytes.fromhex(piece[3:5])  # <0x2D>
            return byte.decode("ascii", errors="ignore")
        is_text = not (self._processor.IsControl(id) or self._processor.IsUnknown(id))
        return piece if is_text and piece not in MARK_NAMES else ""

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without BOS, EOS or tag."""
        return list(self._processor.EncodeAsIds(_read(text, self._normalisation, self._case)))

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of the ids; control tokens have none, broken bytes are U+FFFD.

        A token of inline case with no word behind it means nothing.
        """
        text = str(self._processor.DecodeIds([int(id) for id in ids]))
        return restore_case(text) if self._case == "inline" else text

    def _can_write(self, character: str) -> bool:
        ids = self.encode(character)
        is_spelled = not any(id == UNK or self._processor.IsByte(id) for id in ids)
        return is_spelled and self.decode(ids) == unicodedata.normalize(
            self._normalisation, character
        )

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[Span]]:
        """Return what `encode` does, and what of the text as it was given each id stands for.

        Spaces belong to no id. One that stands for nothing else, a token of inline case among
        them, has an empty span before what follows. All bytes of a character have its span.
        """
        read, spans = trace(text, self._normalisation)
        if self._case == "inline":
            read = mark_case(read)
            spans = trace_marks(read, spans)
        encoded = self._processor.EncodeAsImmutableProto(read)
        pieces = _pieces(encoded)
        return [piece.id for piece in pieces], self._visible(pieces, read, spans)

    def decode_with_offsets(self, ids: Sequence[int]) -> tuple[str, list[Span]]:
        """Return what `decode` does, and which part of it each id became.

        What is said of the spans of `encode_with_offsets` holds for these.
        """
        if not ids:  # of nothing SentencePiece makes a plain string
            return "", []
        decoded = self._processor.DecodeIdsAsImmutableProto([int(id) for id in ids])
        text = read = str(decoded.text)
        spans = [(i, i + 1) for i in range(len(read))]
        if self._case == "inline":
            text = restore_case(read)
            spans = trace_restored(read, text)
        return text, self._visible(_pieces(decoded), read, spans)

    def _visible(self, pieces: list[_Piece], read: str, spans: list[Span]) -> list[Span]:
        """Return the spans of what each piece shows, by those of the characters it was read in."""
        found: list[Span] = []
        upcoming = (spans[-1][1],) * 2 if spans else (0, 0)
        for piece in reversed(pieces):
            shown = [spans[i] for i in range(piece.begin, piece.end) if read[i] != " "]
            shown = [span for span in shown if span[0] < span[1]]
            if shown:
                upcoming = shown[0][0], shown[-1][1]
                found.append(upcoming)
            # The last byte of a character speaks for those before it.
            elif self._processor.IsByte(piece.id):
                found.append(upcoming)
            else:
                upcoming = upcoming[0], upcoming[0]
                found.append(upcoming)
        return found[::-1]

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Return each id as SentencePiece writes it: U+2581 stands for a space before it.

        Tokens of inline case have a name, as control tokens do: what follows is in small letters.
        """
        pieces = (str(self._processor.IdToPiece(int(id))) for id in ids)
        return [MARK_NAMES.get(piece, piece) for piece in pieces]

    def sample(self, texts: Sequence[str], dropout: float, seed: int) -> list[list[int]]:
        """Return one random segmentation of each text; the same seed gives the same ones.

        For BPE each merge is skipped with probability `dropout`; for unigram it is the
        smoothing exponent of the distribution over segmentations.

        Characters and words have one segmentation only.

        Source: Provilkov et al. 2020, "BPE-Dropout", section 3; Kudo 2018, section 3.1.
        """
        read = [_read(text, self._normalisation, self._case) for text in texts]

        def segment() -> list[list[int]]:
            return [self._processor.SampleEncodeAsIds(text, -1, dropout) for text in read]

        # SentencePiece seeds its generator once per thread, so a seed needs a thread of its own.
        sentencepiece.set_random_generator_seed(random.Random(seed).getrandbits(31))  # noqa: S311
        with ThreadPoolExecutor(1, "segmentation") as thread:
            return thread.submit(segment).result()
