"""Traces by OpenTelemetry: what a collector gets of a request, and what it never gets."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from service.traces import open_traces

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 20
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
STAGES = {"tokenise", "queue", "encode", "decode", "detokenise", "restore"}
SECRET = "Geheimnis"
BODY = {"text": f"Guten Morgen. {SECRET}!", "source": "de", "target": "en"}


class Collector:
    """Takes spans as OTLP over HTTP, on a port of its own."""

    def __init__(self) -> None:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.bodies.append(body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        self.bodies: list[bytes] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/traces"
        self._thread = threading.Thread(target=self.server.serve_forever)
        self._thread.start()

    def spans(self) -> list:
        parsed = map(ExportTraceServiceRequest.FromString, self.bodies)
        resources = [resource for each in parsed for resource in each.resource_spans]
        return [s for each in resources for scope in each.scope_spans for s in scope.spans]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


def settings_of(tiny_bundle, **others) -> Settings:
    return Settings(bundles=tiny_bundle.path.parents[1], device="cpu", workers=1, **others)


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def app(tiny_bundle, exporter, monkeypatch):
    """An application that keeps the spans of those traces only that its callers want kept."""
    monkeypatch.setattr(
        "service.app.open_traces", lambda address, ratio: open_traces(address, ratio, exporter)
    )
    return create_app(settings_of(tiny_bundle, traces="http://127.0.0.1:1", traces_ratio=0.0))


def ask(app, flags: str | None = "01", path: str = "/v1/translate", **body):
    """Ask once, and end the service: then all spans are sent."""
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-{flags}"} if flags else {}
    with TestClient(app) as client:
        app.state.library.started.result(TIMEOUT_SECONDS)
        return client.post(path, json=BODY | body, headers={"X-API-Key": SECRET} | headers)


def test_each_stage_is_a_span_in_the_trace_of_the_caller(app, exporter):
    answer = ask(app)

    spans = exporter.get_finished_spans()
    [request] = [each for each in spans if each.name == "POST /v1/translate"]
    stages = [each for each in spans if each is not request]
    assert f"{request.context.trace_id:032x}" == TRACE
    assert f"{request.parent.span_id:016x}" == PARENT
    assert answer.headers["traceparent"] == f"00-{TRACE}-{request.context.span_id:016x}-01"
    assert {each.name for each in stages} == STAGES
    assert {each.parent.span_id for each in stages} == {request.context.span_id}
    # Two sentences, each of which waits, is encoded and is decoded; and one text.
    assert len(stages) == 2 * 3 + 3
    assert all(request.start_time - 10**7 <= s.start_time <= s.end_time for s in stages)
    assert all(s.end_time <= request.end_time + 10**7 for s in stages)


def test_span_tells_route_status_models_and_id_and_nothing_that_was_sent(app, exporter):
    answer = ask(app)

    spans = exporter.get_finished_spans()
    [request] = [each for each in spans if each.parent.span_id == int(PARENT, 16)]
    assert dict(request.attributes) == {
        "http.request.method": "POST",
        "http.route": "/v1/translate",
        "http.response.status_code": 200,
        "dragoman.request_id": answer.headers["X-Request-Id"],
        "dragoman.models": ("tiny/1",),
    }
    assert SECRET not in "".join(each.to_json() for each in spans)


def test_path_that_nobody_serves_is_in_no_span(app, exporter):
    ask(app, path=f"/{SECRET}")

    [span] = exporter.get_finished_spans()
    assert span.name == "POST unknown"
    assert SECRET not in span.to_json()


@pytest.mark.parametrize("flags", ["00", None])
def test_what_nobody_asked_to_keep_is_not_sent(app, exporter, flags):
    answer = ask(app, flags)

    assert answer.status_code == 200
    assert exporter.get_finished_spans() == ()
    assert answer.headers["traceparent"].endswith("-00")


def test_probes_are_not_traced(app, exporter):
    with TestClient(app) as client:
        client.get("/livez", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})

    assert exporter.get_finished_spans() == ()


def test_request_of_many_sentences_has_bounded_spans(app, exporter, monkeypatch):
    monkeypatch.setattr("service.record.MAX_STAGES", 4)

    ask(app)

    [request] = [each for each in exporter.get_finished_spans() if "POST" in each.name]
    assert len(exporter.get_finished_spans()) == 4 + 1
    assert request.attributes["dragoman.stages_left_out"] == 9 - 4


def test_collector_gets_the_spans_over_http(tiny_bundle, collector):
    app = create_app(settings_of(tiny_bundle, traces=collector.url))

    ask(app, flags=None)

    spans = collector.spans()
    [request] = [span for span in spans if span.name == "POST /v1/translate"]
    assert {span.name for span in spans} == STAGES | {"POST /v1/translate"}
    assert {span.trace_id for span in spans} == {request.trace_id}
    assert SECRET.encode() not in b"".join(collector.bodies)


def test_collector_that_is_not_there_delays_no_answer_and_no_end(tiny_bundle):
    with_nobody = settings_of(tiny_bundle, traces="http://127.0.0.1:1/v1/traces")

    assert ask(create_app(with_nobody)).status_code == 200


def test_nothing_of_opentelemetry_is_loaded_unless_it_is_asked_for():
    code = (
        "import sys; from service.app import create_app; from service.settings import Settings; "
        "create_app(Settings()); sys.exit(any('opentelemetry.sdk' in name for name in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_traces_without_the_extra_are_refused_with_the_remedy(tiny_bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)

    with pytest.raises(OSError, match=r"pip install 'dragoman\[otel\]'"):
        create_app(settings_of(tiny_bundle, traces="http://127.0.0.1:4318/v1/traces"))
