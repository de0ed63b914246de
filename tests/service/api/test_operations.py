import platform
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

from starlette.testclient import TestClient

from service.app import create_app
from service.engine import ModelDescription
from service.engine.onnx_batch import OnnxBatch
from service.settings import Settings
from tests.versions import hold_back, publish_version

TIMEOUT_SECONDS = 20
PROBES = {"/startupz": "started", "/livez": "alive", "/readyz": "ready"}


def answers(client) -> dict[str, int]:
    return {path: client.get(path).status_code for path in PROBES}


def test_probes_are_content_when_all_is_well(client):
    for path, word in PROBES.items():
        answer = client.get(path)

        assert answer.status_code == 200
        assert (answer.json()["status"], answer.json()["reasons"]) == (word, [])


def test_dead_thread_is_not_alive(client, models):
    models.is_alive = False

    answer = client.get("/livez")

    assert answer.status_code == 503
    assert answer.json() == {
        "status": "not alive",
        "reasons": ["a decoding thread has died or is stuck"],
    }


def test_service_that_loads_is_alive_but_neither_started_nor_ready(client, models):
    models.has_started = False
    models.what_is_wrong = ["the models are being loaded"]

    assert answers(client) == {"/startupz": 503, "/livez": 200, "/readyz": 503}
    for path in ("/startupz", "/readyz"):
        assert client.get(path).json()["reasons"] == ["the models are being loaded"]


def test_model_that_does_not_decode_is_named(client, models):
    models.what_is_wrong = ["the model a/1 does not decode"]

    assert answers(client) == {"/startupz": 200, "/livez": 200, "/readyz": 503}
    assert client.get("/readyz").json()["reasons"] == ["the model a/1 does not decode"]


def test_closed_intake_has_started_and_is_alive_but_not_ready(app, client):
    app.state.intake.close()

    assert answers(client) == {"/startupz": 200, "/livez": 200, "/readyz": 503}
    assert client.get("/readyz").json()["reasons"] == ["the service is shutting down"]


def test_readiness_tells_what_runs_where(client, models):
    models.models = [ModelDescription("a", "3", [], "fp16", "CUDAExecutionProvider", 1000, [])]

    assert client.get("/readyz").json()["models"] == [
        {"name": "a", "version": "3", "variant": "fp16", "provider": "CUDAExecutionProvider"}
    ]


def test_refused_bundle_is_told_and_leaves_the_service_ready(client, models):
    models.refusals = {"a/4": "manifest.json is not JSON"}

    answer = client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json()["refused"] == [{"bundle": "a/4", "reason": "manifest.json is not JSON"}]


def test_real_service_answers_while_it_loads(tmp_path, tiny_bundle):
    let_go = hold_back(publish_version(tiny_bundle, tmp_path, 1))
    app = create_app(Settings(bundles=tmp_path, device="cpu"))

    with TestClient(app) as client:
        at_first = answers(client)
        refusals = [client.get("/v1/models"), client.get("/v1/languages"), translate(client)]
        let_go()
        app.state.library.started.result(TIMEOUT_SECONDS)
        at_last = answers(client)
        translation = translate(client)

    assert at_first == {"/startupz": 503, "/livez": 200, "/readyz": 503}
    for refusal in refusals:
        assert (refusal.status_code, refusal.headers["Retry-After"]) == (503, "1")
        assert refusal.json()["error"]["message"] == "the models are being loaded"
    assert at_last == {"/startupz": 200, "/livez": 200, "/readyz": 200}
    assert translation.json()["translations"][0]["model"] == "tiny/1"


def test_step_that_does_not_end_is_told_by_the_probes_until_it_does(
    tmp_path, tiny_bundle, monkeypatch
):
    monkeypatch.setattr("service.engine.model._STALL_SECONDS", 1e-9)
    publish_version(tiny_bundle, tmp_path, 1)
    app = create_app(Settings(bundles=tmp_path, device="cpu", workers=1))
    is_held, may_go_on = threading.Event(), threading.Event()
    step = OnnxBatch.step

    def hold(*arguments, **keywords):
        is_held.set()
        assert may_go_on.wait(TIMEOUT_SECONDS)
        return step(*arguments, **keywords)

    with TestClient(app) as client, ThreadPoolExecutor(1) as caller:
        app.state.library.started.result(TIMEOUT_SECONDS)
        at_first = answers(client)
        monkeypatch.setattr(OnnxBatch, "step", hold)
        waiting = caller.submit(translate, client)
        assert is_held.wait(TIMEOUT_SECONDS)
        at_work = answers(client)
        reasons = client.get("/livez").json()["reasons"], client.get("/readyz").json()["reasons"]
        may_go_on.set()
        translation = waiting.result(TIMEOUT_SECONDS)
        at_last = answers(client)

    assert set(at_first.values()) == {200}
    assert at_work == {"/startupz": 200, "/livez": 503, "/readyz": 503}
    assert reasons == (
        ["a decoding thread has died or is stuck"],
        ["the model tiny/1 does not decode"],
    )
    assert translation.status_code == 200
    assert set(at_last.values()) == {200}


def test_service_that_cannot_read_the_keys_it_needs_is_not_ready(tmp_path, models, monkeypatch):
    monkeypatch.setattr("service.keyring.TRUSTED_SECONDS", 0.0)
    settings = Settings(data=tmp_path, keys="required")
    with TestClient(create_app(settings, models)) as client:
        shut = client.get("/readyz")
        monkeypatch.setattr("service.keyring.TRUSTED_SECONDS", float("inf"))
        open = client.get("/readyz")

    assert (shut.status_code, open.status_code) == (503, 200)
    assert shut.json()["reasons"] == ["the API keys cannot be read"]


def translate(client):
    return client.post("/v1/translate", json={"text": "Ja.", "source": "de", "target": "en"})


def test_requests_are_counted_by_route_and_kind_of_status(client):
    series = 'dragoman_request_seconds_count{route="/v1/languages",status="2xx"}'
    before = number(client, series)

    client.get("/v1/languages")

    assert number(client, series) == before + 1


def test_refusals_are_counted_by_code(client):
    series = 'dragoman_refused_total{code="unsupported_pair"}'
    before = number(client, series)

    client.post("/v1/translate", json={"text": "a", "source": "xx", "target": "en"})

    assert number(client, series) == before + 1


def test_path_that_nobody_serves_is_no_label(client):
    client.get("/made-up-path")

    assert "made-up-path" not in client.get("/metrics").text


def test_build_is_told(client):
    [line] = [x for x in client.get("/metrics").text.splitlines() if "build_info{" in x]

    assert f'python="{platform.python_version()}"' in line
    assert f'onnxruntime="{version("onnxruntime")}"' in line


def number(client, series: str) -> float:
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith(series)]
    return float(lines[0].split()[-1]) if lines else 0.0
