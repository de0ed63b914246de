import pytest

from service.errors import InvalidDocument, InvalidRequest, NotFound
from service.test_sets import TestSet, TestSets, parse_lines


@pytest.fixture
def folder(tmp_path):
    files = {
        "multi30k.test.de": "eins\nzwei\n",
        "multi30k.test.en": "one\ntwo\n",
        "multi30k.test.en.10": "1\n2\n",
        "multi30k.test.en.2": "uno\ndue\n",
        "news.pt-BR": "um\n",
        "news.zh-Hans": "一\n",
        "lonely.de": "eins\n",
        "README.md": "not one",
        "numbered.de.2": "zwei",
        "numbered.en": "two",
        ".hidden.de": "",
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "folder.de").mkdir()
    return tmp_path


def test_test_sets_are_those_with_two_languages(folder):
    assert TestSets(folder).find_all() == [
        TestSet("multi30k.test", {"de": 1, "en": 3}),
        TestSet("news", {"pt-BR": 1, "zh-Hans": 1}),
    ]


def test_folder_need_not_exist(tmp_path):
    assert TestSets(tmp_path / "none").find_all() == []


def test_references_come_in_the_order_of_their_numbers(folder):
    found = TestSets(folder).read("multi30k.test", "de", "en")

    assert found.source == ["eins", "zwei"]
    assert found.references == [["one", "two"], ["uno", "due"], ["1", "2"]]


def test_language_may_be_written_otherwise(folder):
    found = TestSets(folder).read("news", "zh_CN", "pt")

    assert (found.source, found.references) == (["一"], [["um"]])


@pytest.mark.parametrize("name", ["none", "../test-sets/news", "", "news.pt-BR"])
def test_unknown_test_set_is_not_found(folder, name):
    with pytest.raises(NotFound, match="there is none of the name"):
        TestSets(folder).read(name, "de", "en")


def test_language_that_a_test_set_lacks_is_named_with_those_it_has(folder):
    with pytest.raises(InvalidRequest, match=r"multi30k\.test is in de, en, not in fr"):
        TestSets(folder).read("multi30k.test", "de", "fr")


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"a\nb\n", ["a", "b"]),
        (b"a\r\nb", ["a", "b"]),
        (b"a\rb\r", ["a", "b"]),
        (b"\xef\xbb\xbfa\n", ["a"]),
        (b"a\n\n", ["a", ""]),
        (b"\n", [""]),
        (b"", []),
        ("a\u2028b\x0cc\x85d\n".encode(), ["a\u2028b\x0cc\x85d"]),
    ],
)
def test_lines_end_where_sacrebleu_ends_them(tmp_path, content, lines):
    (tmp_path / "file").write_bytes(content)
    with (tmp_path / "file").open(encoding="utf-8-sig") as file:  # as its command opens them
        assert [line.rstrip("\n") for line in file] == lines

    assert parse_lines(content, "source") == lines


def test_line_that_is_not_text_is_named():
    with pytest.raises(InvalidDocument, match="source: line 3 is not UTF-8"):
        parse_lines(b"a\nb\nc\xff\n", "source")
