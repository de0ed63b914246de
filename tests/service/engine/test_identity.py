import pytest

from service.engine import parse_model
from service.errors import InvalidRequest


@pytest.mark.parametrize(
    ("text", "name", "version"),
    [
        ("tatoeba", "tatoeba", None),
        ("tatoeba@2", "tatoeba", "2"),
        ("tatoeba-de-en-es-fr/12", "tatoeba-de-en-es-fr", "12"),
    ],
)
def test_model_is_a_name_with_or_without_a_version(text, name, version):
    assert parse_model(text) == (name, version)


@pytest.mark.parametrize(
    "text", ["", "@2", "a@", "a@b", "a@0", "a@01", "a@-1", "a@1@2", "a/1/2", "A", "../a", "a@1\n"]
)
def test_anything_else_is_refused_by_its_field(text):
    with pytest.raises(InvalidRequest, match=r"^baseline: .* is neither NAME nor") as refused:
        parse_model(text, field="baseline")

    assert refused.value.field == "baseline"


def test_refusal_of_a_long_text_is_short():
    with pytest.raises(InvalidRequest) as refused:
        parse_model("a" * 50 + " " * 5000)

    assert len(str(refused.value)) < 200
