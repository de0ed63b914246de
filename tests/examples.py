"""The examples in READMEs: a request, and what the published bundle answers to it.

    <!-- example POST /v1/translate -->
    ```json
    the body, or a call of curl that has it; left out where there is none
    ```

    ```json
    the answer
    ```

Prose may stand between. A test sends the requests and compares the answers; where these have
changed for a good reason, `python -m tests.examples` writes them anew.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings

ROOT = Path(__file__).parents[1]
READMES = [ROOT / "README.md", ROOT / "service" / "README.md"]
REQUEST = re.compile(
    r"<!-- example (?P<method>[A-Z]+) (?P<path>\S+) -->\n(?:```(?:json)?\n(?P<body>.*?)```\n)?",
    re.DOTALL,
)
CURL = re.compile(r"-d '(.*)'", re.DOTALL)
ANSWER = re.compile(r"^```(?:json|text)\n(.*?)```\n", re.DOTALL | re.MULTILINE)
WIDTH = 100
# They differ from run to run, or from one version of the bundle to the next.
PASSING = {"request_id": "6f0c2a51d0e0476c8b8f7ea6fd5a1c27"}


@dataclass(frozen=True)
class Example:
    method: str
    path: str
    body: str | None
    answer: str
    answer_span: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.body or ''}"

    def ask(self, client: TestClient) -> str:
        """Return the answer as it should be written."""
        headers = {"Content-Type": "application/json"} if self.body else {}
        answer = client.request(self.method, self.path, content=self.body, headers=headers)
        if "json" in answer.headers["Content-Type"]:
            return pretty(without_passing(answer.json())) + "\n"
        return answer.text.strip() + "\n"


def examples(readme: Path) -> Iterator[Example]:
    text = readme.read_text(encoding="utf-8")
    for request in REQUEST.finditer(text):
        answer = ANSWER.search(text, request.end())
        assert answer is not None, f"no answer to {request[0]}"
        body = request["body"]
        if body and (call := CURL.search(body)):
            body = call[1]
        yield Example(request["method"], request["path"], body, answer[1], answer.span(1))


@contextmanager
def published() -> Iterator[TestClient]:
    """Serve the published bundle."""
    app = create_app(Settings())
    with TestClient(app) as client:
        app.state.library.started.result(timeout=60)
        yield client


def without_passing(value: object) -> object:
    if isinstance(value, dict):
        return {name: PASSING.get(name) or without_passing(each) for name, each in value.items()}
    if isinstance(value, list):
        return [without_passing(each) for each in value]
    return round(value, 4) if isinstance(value, float) else value


def pretty(value: object, indent: int = 0, room: int = WIDTH) -> str:
    """Render JSON with each part that fits into a line on one line."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or len(line) <= room:
        return line
    room = WIDTH - indent - len("  ,")
    if isinstance(value, dict):
        names = {name: f"{json.dumps(name)}: " for name in value}
        parts = [
            names[name] + pretty(each, indent + 2, room - len(names[name]))
            for name, each in value.items()
        ]
    else:
        parts = [pretty(each, indent + 2, room) for each in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    margin = "\n" + " " * indent
    return opening + ",".join(f"{margin}  {part}" for part in parts) + margin + closing


def like(value: object) -> object:
    """Let numbers differ a little, for not every processor rounds alike."""
    if isinstance(value, dict):
        return {name: like(each) for name, each in value.items()}
    if isinstance(value, list):
        return [like(each) for each in value]
    return pytest.approx(value, abs=0.02) if isinstance(value, float) else value


def events(text: str) -> list[object]:
    """Read server-sent events, in no order: sentences come as they are done."""
    found = []
    for event in sorted(text.strip().split("\n\n")):
        fields = dict(line.split(": ", 1) for line in event.splitlines())
        found.append([fields["event"], json.loads(fields["data"])])
    return found


def parsed(text: str) -> object:
    return json.loads(text) if text[:1] in "{[" else events(text)


def main() -> None:
    with published() as client:
        for readme in READMES:
            text = readme.read_text(encoding="utf-8")
            for example in reversed(list(examples(readme))):
                begin, end = example.answer_span
                text = text[:begin] + example.ask(client) + text[end:]
            readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
