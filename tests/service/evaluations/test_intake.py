import pytest

from service.errors import InvalidRequest
from service.evaluations.files import EvaluationFiles, decode, encode
from service.evaluations.intake import CHUNK_CHARACTERS, cut, parse_pair


@pytest.mark.parametrize(
    ("pair", "languages"),
    [
        ("de-en", ("de", "en")),
        ("en-pt-BR", ("en", "pt-BR")),
        ("pt-BR-en", ("pt-BR", "en")),
        ("pt-BR-zh-Hans", ("pt-BR", "zh-Hans")),
        ("zh-Hant-TW-en-GB", ("zh-Hant-TW", "en-GB")),
        ("DE-EN", ("DE", "EN")),
    ],
)
def test_pair_is_two_languages(pair, languages):
    assert parse_pair(pair) == languages


@pytest.mark.parametrize("pair", ["", "de", "de-", "-en", "de--en", "german-en", "de en", "a-b"])
def test_what_is_no_pair_is_refused(pair):
    with pytest.raises(InvalidRequest, match="two languages with a hyphen between"):
        parse_pair(pair)


def test_parts_hold_all_lines_in_order(tmp_path):
    lines = ["", "ä" * 9_000, "b" * 9_000, "", "c" * 50_000, "d", "\u2028", ""]
    (tmp_path / ("0" * 32)).mkdir()
    (tmp_path / ("0" * 32) / "source.txt").write_bytes(encode(lines))
    files, parts = EvaluationFiles(tmp_path), cut(lines)
    found = [files.part("0" * 32, part) for part in parts]

    assert [line for part in found for line in part] == lines
    assert [len(part) for part in found] == [part.lines for part in parts] == [3, 2, 3]
    assert all(len("".join(part[:-1])) < CHUNK_CHARACTERS for part in found)


def test_no_lines_are_no_parts():
    assert cut([]) == ()
    assert decode(encode([])) == []
    assert decode(encode([""])) == [""]
