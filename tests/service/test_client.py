import socket

import pytest

from service.client import PATIENCE_SECONDS, Client, ServerFailure
from tests.evaluation_server import GONE, ID, Answer, accepted, failure, fake_server, job

SHOW = f"GET /v1/evaluations/{ID}"
LIST = "GET /v1/evaluations"
POST = "POST /v1/evaluations"


class Time:
    """Passes only while someone waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses = []

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def server():
    with fake_server() as server:
        yield server


@pytest.fixture
def notes():
    return []


@pytest.fixture
def connect(time, notes):
    clients = []

    def make(url, key=None):
        clients.append(Client(url, key, notes.append, pause=time.pause, clock=lambda: time.now))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(connect, server):
    return connect(server.url)


def closed_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_key_is_sent_with_every_request(connect, server):
    client = connect(server.url, "dgm_1_2")

    client.greet()
    client.submit({"test_set": "tiny"}, [], "k")

    assert {each.headers["Authorization"] for each in server.asked} == {"Bearer dgm_1_2"}


def test_nothing_is_sent_as_a_key_without_one(client, server):
    client.greet()

    assert "Authorization" not in server.asked[0].headers


def test_request_without_files_is_json(client, server):
    wish = {"pair": "de-en", "test_set": "tiny", "decode": {"beam": 2}, "metrics": ["bleu"]}

    assert client.submit(wish, [], "k") == ID
    assert server.asked[0].json() == wish


def test_request_with_files_is_a_form_whose_fields_are_text(client, server):
    wish = {"pair": "de-en", "decode": {"beam": 2}, "metrics": ["bleu", "ter"], "examples": 3}

    client.submit(wish, [("source", b"a\n"), ("reference", b"b\n"), ("reference", b"c\n")], "k")

    assert server.asked[0].parts() == [
        ("pair", "de-en"),
        ("decode", '{"beam": 2}'),
        ("metrics", "bleu,ter"),
        ("examples", "3"),
        ("source", "a\n"),
        ("reference", "b\n"),
        ("reference", "c\n"),
    ]


def test_path_of_the_address_is_kept(connect, server):
    client = connect(f"{server.url}/behind/a/proxy/")
    server.will("GET /behind/a/proxy/v1/evaluations", Answer({"evaluations": []}))

    assert client.list(3, "done") == []
    assert server.asked[0].path.endswith("/v1/evaluations?limit=3&status=done")


def test_id_is_no_path(client, server):
    with pytest.raises(ServerFailure):
        client.find("../models?x")

    assert server.asked[0].path == "/v1/evaluations/..%2Fmodels%3Fx"


def test_job_is_followed_to_its_end(client, server, time):
    server.will(SHOW, job("queued"), job("running", 3), job("done", 6, report={"any": 1}))
    seen = []

    body = client.follow(ID, lambda job: seen.append((job.status, job.progress.done)))

    assert seen == [("queued", 0), ("running", 3), ("done", 6)]
    assert body["report"] == {"any": 1}
    assert len(time.pauses) == 2


@pytest.mark.parametrize(
    ("told", "waited"), [({}, 1), ({"Retry-After": "2"}, 2), ({"Retry-After": "0"}, 0.1)]
)
@pytest.mark.parametrize("last", ["done", "failed", "cancelled"])
def test_time_between_looks_is_the_servers(client, server, time, told, waited, last):
    server.will(SHOW, Answer(job("queued").body, headers=told), job(last))

    client.follow(ID, lambda job: None)

    assert time.pauses == [waited]


def test_absent_server_is_not_waited_for(connect, time):
    port = closed_port()

    with pytest.raises(ServerFailure) as failure:
        connect(f"http://127.0.0.1:{port}").greet()

    assert str(failure.value) == f"http://127.0.0.1:{port} does not answer: Connection refused"
    assert time.pauses == []


def test_server_that_is_away_is_waited_for_and_told_of_once(client, server, time, notes):
    server.will(SHOW, job("running", 1), GONE, GONE, job("running", 2), GONE, job("done"))

    assert client.follow(ID, lambda job: None)["status"] == "done"

    away = f"{server.url} does not answer: Server disconnected without sending a response"
    assert notes == [f"{away}; waiting for it", f"{server.url} answers again"] * 2
    assert time.pauses == [0.1, 1, 2, 0.1, 1]


def test_port_that_nobody_listens_on_any_more_is_waited_for(connect, time, notes):
    with fake_server() as first:
        client, port = connect(first.url), first.port
        client.greet()
    later = []

    def start(seconds):
        time.now += seconds
        if time.now > 5 and not later:
            later.append(fake_server(port))
            later[0].__enter__()

    client._pause = start
    assert client.list(1) == []
    later[0].__exit__(None, None, None)
    assert notes[0].endswith("does not answer: Connection refused; waiting for it")


def test_patience_ends(client, server, time):
    client.greet()
    server.will(SHOW, GONE)

    with pytest.raises(ServerFailure, match="does not answer"):
        client.find(ID)

    assert PATIENCE_SECONDS - 11 < time.now <= PATIENCE_SECONDS


def test_lost_answer_to_a_submission_makes_no_second_job(client, server):
    client.greet()
    server.will(POST, GONE, accepted())

    assert client.submit({"pair": "de-en"}, [("source", b"a\n")], "the key") == ID

    sent = server.requests("POST")
    assert [each.headers["Idempotency-Key"] for each in sent] == ["the key"] * 2
    assert sent[0].parts() == sent[1].parts()


@pytest.mark.parametrize(
    "refusal",
    [
        failure(503, "overloaded", "too many evaluations", Retry_After="7"),
        failure(503, "store_unavailable", "the disk is full", Retry_After="7"),
        failure(429, "rate_limited", "too many requests", Retry_After="7"),
        Answer(b"<html>", 502, {"Retry-After": "7"}),
    ],
)
def test_busy_server_is_asked_again_when_it_says(client, server, time, notes, refusal):
    server.will(POST, refusal, accepted())

    assert client.submit({}, [], "k") == ID
    assert time.pauses == [7]
    assert notes[0].startswith(f"{server.url} is busy: ")


def test_busy_server_that_says_nothing_is_asked_less_and_less(client, server, time):
    busy = failure(503, "store_unavailable", "the store cannot be read")
    server.will(POST, *[busy] * 6, accepted())

    client.submit({}, [], "k")

    assert time.pauses == [1, 2, 4, 8, 10, 10]


def test_what_will_not_pass_soon_is_told_at_once(client, server, time):
    quota = "the quota of 1000 characters is used up"
    server.will(POST, failure(429, "quota_exceeded", quota, Retry_After="864000"))

    with pytest.raises(ServerFailure, match=quota):
        client.submit({}, [], "k")

    assert time.pauses == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (failure(401, "unauthorized", "the API key is expired"), ": the API key is expired"),
        (failure(404, "not_found", "no evaluation x"), ": no evaluation x"),
        (failure(500, "internal_error", "internal error"), ": internal error (request r1)"),
        (Answer(b"<html>", 418), ": status 418 I'm a Teapot"),
        (Answer([1], 418), ": status 418 I'm a Teapot"),
        (
            Answer(b"", 301, {"Location": "https://there"}),
            ": status 301 Moved Permanently, https://there",
        ),
        (Answer(b"<html>"), " answers in words that are not known here"),
        (Answer(b"\xff"), " answers in words that are not known here"),
        (Answer([1]), " answers in words that are not known here"),
        (Answer({"status": "done"}), " answers in words that are not known here (job_id)"),
    ],
)
def test_refusal_is_told_in_the_words_of_the_server(client, server, time, answer, said):
    server.will(SHOW, answer)

    with pytest.raises(ServerFailure) as refused:
        client.follow(ID, lambda job: None)

    assert str(refused.value).startswith(f"{server.url}{said}")
    assert time.pauses == []


def test_server_without_evaluations_is_told_apart(client, server):
    server.will(LIST, failure(404, "not_found", "Not Found: GET /v1/evaluations"))

    with pytest.raises(ServerFailure, match="has no /v1/evaluations: it may be of an older"):
        client.greet()


def test_list_that_is_none_is_strange(client, server):
    server.will(LIST, Answer({"jobs": []}))

    with pytest.raises(ServerFailure, match="words that are not known here"):
        client.list(1)


def test_no_proxy_stands_between_a_machine_and_itself(connect, server, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")

    assert connect(server.url).list(1) == []


def test_proxy_of_the_environment_is_used_for_others(connect, server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url)
    server.will("GET http://elsewhere.example/v1/evaluations", Answer({"evaluations": []}))

    assert connect("http://elsewhere.example").list(1) == []
