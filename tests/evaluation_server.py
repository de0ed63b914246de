"""A server of evaluations that answers as it is told to, for commands that ask one."""

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ID = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
SIGNATURE = "nrefs:1|bs:1000|seed:12345|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"
TIMEOUT_SECONDS = 30
CREATED = "2026-01-02T03:04:05Z"


@dataclass(frozen=True)
class Answer:
    body: object = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


GONE = Answer(status=0)
"""The connection ends without an answer, as when a server is killed."""
STUCK = Answer(status=1)
"""There is none for as long as the server lives."""


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict:
        return json.loads(self.body)

    def parts(self) -> list[tuple[str, str]]:
        """Return the names and contents of a form, in order."""
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        found = message_from_bytes(head + self.body).get_payload()
        return [
            (
                part.get_param("name", header="Content-Disposition"),
                part.get_payload(decode=True).decode(),
            )
            for part in found
        ]


class FakeServer:
    """Its `answers` to a request are given one after the other, the last again and again."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.asked: list[Asked] = []
        self.is_closing = threading.Event()
        self._has_asked = threading.Condition()
        self.answers: dict[str, list[Answer]] = defaultdict(list)
        self.will("GET /v1/evaluations", Answer({"evaluations": []}))
        self.will("POST /v1/evaluations", accepted())

    def will(self, request: str, *answers: Answer) -> None:
        self.answers[request] = list(answers)

    def requests(self, request: str) -> list[Asked]:
        return [each for each in self.asked if f"{each.method} {each.path}".startswith(request)]

    def has_been_asked(self, request: str) -> bool:
        """Wait for a request; return whether it came."""
        with self._has_asked:
            return self._has_asked.wait_for(lambda: self.requests(request), TIMEOUT_SECONDS)

    def answer(self, asked: Asked) -> Answer:
        with self._has_asked:
            self.asked.append(asked)
            self._has_asked.notify_all()
        answers = self.answers[f"{asked.method} {asked.path.partition('?')[0]}"]
        if not answers:
            return failure(404, "not_found", f"Not Found: {asked.method} {asked.path}")
        return answers.pop(0) if len(answers) > 1 else answers[0]


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = Asked(self.command, self.path, dict(self.headers), content)
        answer = self.server.fake.answer(asked)
        if answer is STUCK:
            self.server.fake.is_closing.wait(TIMEOUT_SECONDS)
        if answer is GONE or answer is STUCK:
            return
        is_raw = isinstance(answer.body, bytes)
        body = answer.body if is_raw else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_):
        pass


class _Serving(ThreadingHTTPServer):
    daemon_threads = True


@contextmanager
def fake_server(port: int = 0) -> Iterator[FakeServer]:
    with _Serving(("127.0.0.1", port), _Handler) as serving:
        serving.fake = FakeServer(serving.server_port)
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield serving.fake
        finally:
            serving.fake.is_closing.set()
            serving.shutdown()
            thread.join()


def accepted() -> Answer:
    poll_url = f"/v1/evaluations/{ID}"
    body = {"job_id": ID, "poll_url": poll_url, "status": "queued"}
    return Answer(body, 202, {"Location": poll_url, "Retry-After": "0"})


def failure(status: int, code: str, message: str, **headers: str) -> Answer:
    error = {"code": code, "message": message, "field": None, "limit": None, "request_id": "r1"}
    return Answer({"error": error}, status, {n.replace("_", "-"): v for n, v in headers.items()})


def job(status: str, done: int = 0, total: int = 6, **more: object) -> Answer:
    progress = {"done": done, "total": total}
    body = {"job_id": ID, "status": status, "progress": progress, "created": CREATED, **more}
    return Answer(body, headers={"Retry-After": "0"})


def report(**more: object) -> dict:
    """A report of a job that compares version 2 of a model with version 1."""
    metrics = {"bleu": ("BLEU", 37.123), "chrf": ("chrF2", 58.2), "ter": ("TER", 45.5)}
    test = {"test": "paired_bootstrap", "p_value": 0.012, "samples": 1000}
    return {
        "job_id": ID,
        "pair": {"source": "de", "target": "en"},
        "model": {"name": "tatoeba", "version": "2", "provider": "CPUExecutionProvider"},
        "baseline": {"kind": "model", "model": {"name": "tatoeba", "version": "1"}},
        "decode": {"beam": 6, "length_penalty": 1.0, "max_tokens": None},
        "test_set": None,
        "sentences": 3,
        "metrics": [
            {
                "metric": metric,
                "name": name,
                "score": score,
                "signature": SIGNATURE,
                "interval": [score - 1, score + 1],
                "details": None,
            }
            for metric, (name, score) in metrics.items()
        ],
        "comparison": [
            {
                "metric": metric,
                "name": name,
                "score": score,
                "baseline_score": score - 0.72,
                "baseline_interval": [score - 1.5, score + 0.5],
                "delta": 0.72,
                "tests": [test],
            }
            for metric, (name, score) in metrics.items()
        ],
        "identical": 1,
        "counts": {"truncated": 0, "repetition_stopped": 1, "placeholder_lost": 0, "empty": 2},
        "performance": {"sentences_per_second": 312.5, "seconds": 3.2},
        "warnings": [],
        **more,
    }
