"""The terms that a request for a translation names, or brings along."""

import asyncio

from service.access import Caller
from service.api.native.options import Options
from service.engine import Term
from service.errors import InvalidRequest
from service.glossaries import Glossaries


class TermFinder:
    """Finds the terms of one request; its texts may be in several languages."""

    def __init__(self, options: Options, glossaries: Glossaries, caller: Caller) -> None:
        self._glossary = options.glossary
        self._target = options.target
        self._glossaries = glossaries
        self._owner = caller.id
        self._finding = asyncio.Lock()
        self._terms_by_source: dict[str, tuple[Term, ...]] = {}

    async def find(self, source: str) -> tuple[Term, ...]:
        """Return the terms for a text in this language.

        Raises:
            InvalidRequest: the terms that were brought along cannot be used.
            NotFound: there is no such glossary, or it has nothing for these languages.
        """
        if self._glossary is None:
            return ()
        async with self._finding:
            if source not in self._terms_by_source:
                self._terms_by_source[source] = await self._look_up(source)
        return self._terms_by_source[source]

    async def _look_up(self, source: str) -> tuple[Term, ...]:
        glossary = self._glossary
        if isinstance(glossary, str):
            return await asyncio.to_thread(
                self._glossaries.terms, glossary, source, self._target, self._owner
            )
        terms = [each.term for each in glossary or []]
        try:
            return self._glossaries.check(terms)
        except InvalidRequest as failure:
            failure.field = "glossary"  # not `entries`, as where a glossary is laid down
            raise
