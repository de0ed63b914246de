from collections.abc import Callable

import pytest

from service.formats import FormatOptions, Translated, find_format


@pytest.fixture
def translate() -> Callable[..., bytes]:
    """Translate a file by a function of texts: by none, it comes back as it is rendered."""

    def translate(
        content: bytes, name: str, by: Callable[[str], str] = str, **options: object
    ) -> bytes:
        told = FormatOptions(**{"source": "en", "target": "de"} | options)
        draft = find_format(name, content).parse(content, told)
        return draft.render([Translated(by(segment.text)) for segment in draft.segments])

    return translate


@pytest.fixture
def segments() -> Callable[..., list[str]]:
    def segments(content: bytes, name: str, **options: object) -> list[str]:
        told = FormatOptions(**{"source": "en", "target": "de"} | options)
        return [each.text for each in find_format(name, content).parse(content, told).segments]

    return segments
