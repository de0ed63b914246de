import pytest

from service.errors import Forbidden
from service.suggestions import FILE, Suggestion, Suggestions

SUGGESTION = Suggestion("de", "en", "Tür", "gate")


def test_file_does_not_grow_beyond_its_limit(tmp_path):
    suggestions = Suggestions(tmp_path / "data", max_file_bytes=250)

    suggestions.add(SUGGESTION)
    suggestions.add(SUGGESTION)
    kept = (tmp_path / "data" / FILE).read_bytes()
    with pytest.raises(Forbidden):
        suggestions.add(SUGGESTION)

    assert kept.count(b"\n") == 2
    assert (tmp_path / "data" / FILE).read_bytes() == kept


def test_file_is_for_its_owner_alone(tmp_path):
    Suggestions(tmp_path).add(SUGGESTION)

    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0
