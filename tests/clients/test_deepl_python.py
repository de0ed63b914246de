"""The official `deepl` client for Python, as it is, against a real server."""

import io
import re

import deepl
import pytest

GUTEN_TAG, HAUS = "Guten Morgen. Wie geht es dir?", "Das Haus ist klein, aber schön."


@pytest.fixture
def client(connect, server):
    return connect(server)


def test_text_is_translated(client, engine):
    result = client.translate_text(GUTEN_TAG, source_lang="DE", target_lang="EN-GB")

    assert result.text == engine(GUTEN_TAG, "de", "en")
    assert result.detected_source_lang == "DE"
    assert result.billed_characters == len(GUTEN_TAG)
    assert result.model_type_used is None


def test_texts_are_translated_in_order_each_from_its_own_language(client, engine):
    texts = [GUTEN_TAG, "I see a dog and two cats.", HAUS]
    results = client.translate_text(texts, target_lang="EN-US")

    assert [each.detected_source_lang for each in results] == ["DE", "EN", "DE"]
    assert [each.text for each in results] == [
        engine(GUTEN_TAG, "de", "en"),
        texts[1],
        engine(HAUS, "de", "en"),
    ]


def test_options_are_understood(client):
    result = client.translate_text(
        GUTEN_TAG,
        source_lang="de",
        target_lang=deepl.Language.ENGLISH_AMERICAN,
        context="Ein Gespräch.",
        split_sentences=deepl.SplitSentences.NO_NEWLINES,
        preserve_formatting=True,
        formality=deepl.Formality.PREFER_MORE,
        model_type=deepl.ModelType.PREFER_QUALITY_OPTIMIZED,
        outline_detection=False,
        extra_body_parameters={"enable_beta_languages": True},
    )

    assert result.model_type_used == "quality_optimized"


def test_tags_come_back_as_they_were(client):
    xml = f'<doc><t>{HAUS}</t><p id="1">Zwei <x id="7"/> Hunde &amp; <keep>Katzen</keep>.</p></doc>'
    html = '<p>Das <b class="a">Haus</b></p><script>alert("x")</script><!-- a --><p>1 &lt; 2</p>'
    given = {"source_lang": "DE", "target_lang": "EN-GB"}

    of_xml = client.translate_text(
        xml,
        tag_handling="xml",
        tag_handling_version="v2",
        outline_detection=False,
        splitting_tags=["t", "p"],
        non_splitting_tags="x",
        ignore_tags="keep",
        **given,
    )
    of_html = client.translate_text(html, tag_handling="html", **given)

    tags = re.compile(r"<[^>]*>")
    assert tags.findall(of_xml.text) == tags.findall(xml)
    assert "<keep>Katzen</keep>" in of_xml.text
    assert tags.findall(of_html.text) == tags.findall(html)
    assert '<script>alert("x")</script><!-- a --><p>' in of_html.text


def test_languages_have_the_codes_that_the_client_knows(client):
    sources = client.get_source_languages()
    targets = client.get_target_languages()

    assert [(each.code, each.name) for each in sources] == [("DE", "German"), ("EN", "English")]
    assert [each.code for each in targets] == ["DE", "EN-GB", "EN-US"]
    assert {each.supports_formality for each in targets} == {False}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target_lang": "XX"}, "Bad request, message: Value for 'target_lang' not supported."),
        (
            {"target_lang": "DE", "source_lang": "XX"},
            "Bad request, message: Value for 'source_lang' not supported.",
        ),
        ({"target_lang": "DE", "formality": "more"}, "'formality' is not supported"),
        ({"target_lang": "DE", "tag_handling": "json"}, "Bad request, message: tag_handling"),
        ({"target_lang": "DE", "style_rule": "a"}, "Value for 'style_id' not supported."),
    ],
)
def test_what_is_wrong_with_a_request_is_told(client, options, message):
    with pytest.raises(deepl.DeepLException, match=message) as caught:
        client.translate_text("a", **options)

    assert caught.value.http_status_code == 400


def test_text_beyond_the_limit_is_told(client):
    with pytest.raises(deepl.DeepLException, match="exceed 50000") as caught:
        client.translate_text("a " * 25_001, source_lang="EN", target_lang="DE")

    assert caught.value.http_status_code == 413


def test_route_that_is_not_offered_is_not_found(client):
    with pytest.raises(deepl.DeepLException, match="Not found, message: Not Found"):
        client.get_all_style_rules()


def test_document_is_translated_and_downloaded(client, engine, tmp_path):
    source, translated = tmp_path / "letter.txt", tmp_path / "brief.txt"
    source.write_text(f"{GUTEN_TAG}\n\n{HAUS}\n", encoding="utf-8")

    status = client.translate_document_from_filepath(
        source, translated, source_lang="DE", target_lang="EN-US", formality="prefer_less"
    )

    assert (status.done, status.billed_characters) == (True, len(GUTEN_TAG) + len(HAUS))
    lines = [engine(line, "de", "en") for line in (GUTEN_TAG, HAUS)]
    assert translated.read_text(encoding="utf-8") == "{}\n\n{}\n".format(*lines)


def test_document_of_a_bare_stream_is_taken_for_text(client, engine):
    handle = client.translate_document_upload(io.BytesIO(HAUS.encode()), target_lang="EN-US")
    assert client.translate_document_wait_until_done(handle).done
    downloaded = io.BytesIO()

    client.translate_document_download(handle, downloaded)

    assert downloaded.getvalue().decode() == engine(HAUS, "de", "en")


def test_document_can_be_downloaded_once(client):
    handle = client.translate_document_upload("Hund", filename="a.txt", target_lang="EN-US")
    client.translate_document_wait_until_done(handle)
    client.translate_document_download(handle, io.BytesIO())

    with pytest.raises(deepl.DeepLException, match="Not found") as caught:
        client.translate_document_download(handle, io.BytesIO())

    assert caught.value.http_status_code == 404


def test_document_that_is_not_done_cannot_be_downloaded_yet(client):
    lines = "\n".join(f"Ich sehe {i} Hunde." for i in range(300))
    handle = client.translate_document_upload(lines, filename="a.txt", target_lang="EN-US")

    with pytest.raises(deepl.DocumentNotReadyException) as caught:
        client.translate_document_download(handle, io.BytesIO())

    assert caught.value.should_retry


def test_document_of_a_wrong_key_is_not_found(client):
    handle = client.translate_document_upload("Hund", filename="a.txt", target_lang="EN-US")

    with pytest.raises(deepl.DeepLException, match="Not found"):
        client.translate_document_get_status(deepl.DocumentHandle(handle.document_id, "0" * 64))


def test_document_that_cannot_be_translated_is_refused(client):
    with pytest.raises(deepl.DeepLException, match=r"files .\.xyz. cannot be translated") as caught:
        client.translate_document_upload(b"a", filename="a.xyz", target_lang="DE")

    assert caught.value.http_status_code == 415


def test_usage_is_counted_and_has_a_limit(connect, keyed_server):
    client = connect(keyed_server.url, keyed_server.make("translate", characters_per_month=1000))
    client.translate_text(["Hund", "Katze"], source_lang="DE", target_lang="EN-US")

    usage = client.get_usage()

    assert (usage.character.count, usage.character.limit) == (9, 1000)
    assert not usage.any_limit_reached


def test_usage_without_keys_has_no_end(client):
    assert client.get_usage().character.limit == 10**12


@pytest.mark.parametrize("ask", ["get_usage", "get_source_languages", "get_target_languages"])
def test_key_that_is_none_is_an_authorization_failure(connect, keyed_server, ask):
    with pytest.raises(deepl.AuthorizationException, match="not one of this service"):
        getattr(connect(keyed_server.url, "wrong"), ask)()


def test_key_for_something_else_is_an_authorization_failure(connect, keyed_server):
    client = connect(keyed_server.url, keyed_server.make("glossaries"))

    with pytest.raises(deepl.AuthorizationException, match="not for translate"):
        client.translate_text("a", target_lang="DE")


def test_used_up_quota_is_told_apart(connect, keyed_server):
    client = connect(keyed_server.url, keyed_server.make("translate", characters_per_month=3))

    with pytest.raises(deepl.QuotaExceededException, match="4 characters exceed the 3"):
        client.translate_text("Hund", source_lang="DE", target_lang="EN-US")


def test_too_many_requests_are_told_apart_and_may_be_sent_again(connect, keyed_server):
    client = connect(keyed_server.url, keyed_server.make("translate", requests_per_minute=1))
    client.get_usage()

    with pytest.raises(deepl.TooManyRequestsException) as caught:
        client.get_usage()

    assert caught.value.should_retry
