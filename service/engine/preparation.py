r"""A text becomes work for a scheduler: sentences, their ids, and how to search for each.

    text -> sentences -> ids
                     \-> search options

What is asked for is checked here; nothing here waits for anybody.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from models.bundle import Decoding
from models.tokenizer import Tokenizer
from service.engine.hypothesis import EOS, SearchOptions
from service.engine.protection import Layout, protect
from service.engine.terms import FoundTerm, Term, Terms, constraints_of
from service.engine.translation import TranslationOptions
from service.errors import InvalidRequest

# No piece of a vocabulary is longer, so longer sentences need not be encoded to be too long.
_CHARACTERS_PER_TOKEN = 16
# Narrower beams put a term anywhere; see tests/benchmarks/README.md.
_MIN_BEAM_FOR_TERMS = 6


@dataclass(frozen=True, slots=True)
class Work:
    """A text that is ready to be decoded; its sentences stand in the same places everywhere."""

    text: str
    layout: Layout
    sources: list[list[int]]
    """Tag, if there is one, tokens and EOS of each sentence."""
    searches: list[SearchOptions]
    terms: list[list[Term]]
    """Those that each sentence has, once for each place."""
    is_aligned: bool
    """Whether somebody needs to know which words stand for each other."""


@dataclass(frozen=True, slots=True)
class Preparer:
    """Prepares texts of one language for one model."""

    language: str
    defaults: Decoding
    tokenizer: Tokenizer
    tag: str | None
    """The token that opens the source and asks for the target language."""

    def prepare(self, text: str, options: TranslationOptions) -> Work:
        """Find the sentences of a text and say how to decode them.

        Raises:
            InvalidRequest: the beam is too narrow for the alternatives, or the text is to be XML
                and is not.
        """
        search = self._search_options(options)
        layout, ids = self._encode(text, options)
        prefix = [] if self.tag is None else [self.tokenizer.tag_id(self.tag)]
        known = options.terms if isinstance(options.terms, Terms) else Terms(options.terms)
        sentences = [each.text for each in layout.sentences]
        found = [known.find(each) if known else [] for each in sentences]
        searches = [
            replace(
                search,
                max_tokens=options.max_tokens or self._default_max_tokens(len(each)),
                num_tags=len(prefix),
                with_attention=search.with_attention or sentence.needs_attention,
            )
            for each, sentence in zip(ids, layout.sentences, strict=True)
        ]
        return Work(
            text,
            layout,
            [[*prefix, *each, EOS] for each in ids],
            list(map(self._constrain, searches, sentences, found)),
            [[each.term for each in terms] for terms in found],
            is_aligned=options.alignment,
        )

    def _constrain(
        self, search: SearchOptions, sentence: str, terms: Sequence[FoundTerm]
    ) -> SearchOptions:
        if not terms:
            return search
        spans = [(0, 0)] * search.num_tags + self.tokenizer.encode_with_offsets(sentence)[1]
        constraints = constraints_of(terms, self.tokenizer, spans)
        if not constraints:
            return search
        width = max(search.width, _MIN_BEAM_FOR_TERMS)
        return replace(search, width=width, constraints=constraints)

    def _search_options(self, options: TranslationOptions) -> SearchOptions:
        beam, penalty = options.beam, options.length_penalty
        if beam is None:
            beam = max(self.defaults.beam, options.alternatives + 1)
        if options.alternatives >= beam:
            message = f"{options.alternatives} alternatives need a wider beam than {beam}"
            raise InvalidRequest(message, field="alternatives", limit=beam - 1)
        return SearchOptions(
            width=beam,
            length_penalty=self.defaults.length_penalty if penalty is None else penalty,
            num_best=options.alternatives + 1,
            no_repeat_ngram=options.no_repeat_ngram,
            case_ids=self.tokenizer.case_ids,
            coverage_penalty=options.coverage_penalty,
            with_attention=options.attention or options.alignment,
        )

    def _encode(self, text: str, options: TranslationOptions) -> tuple[Layout, list[list[int]]]:
        limit = self.defaults.max_source_tokens
        ids_by_sentence: dict[str, list[int]] = {}

        def fits(sentence: str) -> bool:
            if len(sentence) > limit * _CHARACTERS_PER_TOKEN:
                return False
            ids = ids_by_sentence[sentence] = self.tokenizer.encode(sentence)
            return len(ids) <= limit

        layout = protect(
            text,
            self.language,
            split=options.split,
            markup=options.markup,
            fits=fits,
            is_known=self.tokenizer.can_write,
        )
        texts = [sentence.text for sentence in layout.sentences]
        # One may have been asked for in other words, or not at all: a single character, which may
        # take more tokens than are allowed.
        return layout, [ids_by_sentence.get(each) or self.tokenizer.encode(each) for each in texts]

    def _default_max_tokens(self, num_source_tokens: int) -> int:
        factor, extra = self.defaults.max_target_factor, self.defaults.max_target_extra
        return math.ceil(factor * num_source_tokens) + extra
