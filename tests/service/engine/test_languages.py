import pytest

from service.engine.languages import closest, is_same_language


@pytest.mark.parametrize(
    ("wanted", "served", "found"),
    [
        ("en-US", ["de", "en"], ["en"]),
        ("EN", ["en"], ["en"]),
        ("de_DE", ["de"], ["de"]),
        ("de_DE.UTF-8", ["de"], ["de"]),
        ("deu", ["de"], ["de"]),
        ("iw", ["he"], ["he"]),
        ("no", ["nb"], ["nb"]),
        ("cmn", ["zh"], ["zh"]),
        ("zh-CN", ["zh-Hant", "zh-Hans"], ["zh-Hans"]),
        ("zh-TW", ["zh-Hans", "zh-Hant"], ["zh-Hant"]),
        ("zh-Hant", ["zh-Hans", "zh"], []),
        ("sr-Latn", ["sr"], []),
        ("pt", ["pt-PT", "pt-BR"], ["pt-BR", "pt-PT"]),
        ("pt-PT", ["pt-BR"], ["pt-BR"]),
        ("en-AU", ["en", "en-US", "en-GB"], ["en-GB", "en", "en-US"]),
        ("en", ["en-US", "en"], ["en", "en-US"]),
        ("en-US", ["en", "en-US"], ["en-US", "en"]),
        ("de-Latn-AT", ["de"], ["de"]),
        # What is near, or understood by many, is another language still.
        ("da", ["nb"], []),
        ("gsw", ["de"], []),
        ("nds", ["de"], []),
    ],
)
def test_tag_is_served_by_the_nearest_of_its_language_and_script(wanted, served, found):
    assert closest(wanted, served) == found


@pytest.mark.parametrize(
    "tag", ["", "-", "de-", "english!", "\u00e9", "d" * 10_000, "../de", "\x00", "rl-Lrv-Usu-4cP"]
)
def test_what_is_no_tag_is_served_by_none(tag):
    assert closest(tag, ["de", "en"]) == []


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("en", "EN_gb", True),
        ("pt-BR", "pt-PT", True),
        ("zh-Hans", "zh-Hant", False),
        ("de", "en", False),
        ("", "", False),
    ],
)
def test_languages_are_the_same_whatever_their_regions(one, other, is_same):
    assert is_same_language(one, other) == is_same
