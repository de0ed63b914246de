"""Evaluation jobs of a server, over HTTP.

A server that is busy, or that answered before and is away now, is waited for: it may be starting
anew, and what it accepted goes on then. Nothing here is printed.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx2
from pydantic import BaseModel, ValidationError

from service.evaluation_answers import Accepted, Job

Body = dict[str, Any]
"""A JSON object as it came."""
T = TypeVar("T", bound=BaseModel)

PATH = "/v1/evaluations"
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 120.0
"""A large upload is examined before it is answered."""
POLL_SECONDS = 1.0
"""Between two looks at a job, where the server does not say."""
MAX_POLL_SECONDS = 30.0
MIN_POLL_SECONDS = 0.1
"""A server that says 0 is not asked without a pause."""
PATIENCE_SECONDS = 600.0
"""For how long a server is waited for: longer than any start takes."""
FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 1.0, 10.0
"""Between two tries of a server that is away."""
BUSY = {429, 502, 503, 504}
"""What passes: too many requests, too much work, or a proxy whose server is starting."""


class ServerFailure(Exception):
    """A server refuses, cannot be asked, or is none of ours; the message is for people."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        """Of HTTP, if it answered."""


class _Passing(Exception):
    """A failure after which trying again may succeed."""

    def __init__(self, message: str, status: int | None = None, after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.after_seconds = after


class Client:
    """A server, asked by one thread.

    Args:
        url: Of the server; the paths of the API come after it.
        key: An API key, or None.
        note: Told when the server has to be waited for, and when it is there again.
        pause, clock: Those of the time that passes.
    """

    def __init__(
        self,
        url: str,
        key: str | None,
        note: Callable[[str], None] = lambda text: None,
        *,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url.rstrip("/")
        self.note = note
        self._pause, self._clock = pause, clock
        self._has_answered = False
        self._http = httpx2.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            # no proxy stands between a machine and itself
            trust_env=not _is_this_machine(urlsplit(self.url).hostname or ""),
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def greet(self) -> None:
        """Ask for next to nothing, so that a wrong address or key costs no upload.

        Raises:
            ServerFailure: the server is not there, does not know evaluations, or refuses the key.
        """
        try:
            self.list(1)
        except ServerFailure as failure:
            if failure.status != HTTPStatus.NOT_FOUND:
                raise
            raise ServerFailure(
                f"{self.url} has no {PATH}: it may be of an older version, or no Dragoman"
            ) from None

    def submit(
        self, wish: Mapping[str, Any], files: Sequence[tuple[str, bytes]], idempotency_key: str
    ) -> str:
        """Begin an evaluation; return the id of the job.

        Args:
            files: The field and the lines of each.
            idempotency_key: What comes twice with the same key, for the first answer was lost,
                makes one job.

        Raises:
            ServerFailure: as for every call.
        """
        content: dict[str, Any] = {"json": wish}
        if files:
            named = [(field, (f"{field}.txt", lines, "text/plain")) for field, lines in files]
            content = {"data": _form(wish), "files": named}
        headers = {"Idempotency-Key": idempotency_key}
        answer = self._ask("POST", PATH, headers=headers, **content)
        return self.parse(Accepted, self._object(answer)).job_id

    def list(self, limit: int, status: str | None = None) -> list[Body]:
        """Return the caller's own jobs, the newest first."""
        query = {"limit": limit} | ({"status": status} if status else {})
        found = self._object(self._ask("GET", PATH, params=query)).get("evaluations")
        if not isinstance(found, list):
            raise self._strange()
        return found

    def find(self, id: str) -> Body:
        """Return a job."""
        return self._object(self._ask("GET", _path(id)))

    def cancel(self, id: str) -> Body:
        """End a job that is under way; what is known of it stays."""
        return self._object(self._ask("POST", f"{_path(id)}/cancel"))

    def fetch(self, id: str, name: str) -> bytes:
        """Return a file of a job that is done, such as `report.html`."""
        return self._ask("GET", f"{_path(id)}/{name}").content

    def follow(self, id: str, on_change: Callable[[Job], None]) -> Body:
        """Wait until a job has ended, telling how far it is."""
        while True:
            answer = self._ask("GET", _path(id))
            body = self._object(answer)
            job = self.parse_job(body)
            on_change(job)
            if job.is_ended:
                return body
            seconds = _retry_after(answer)
            self._pause(
                POLL_SECONDS
                if seconds is None
                else min(max(seconds, MIN_POLL_SECONDS), MAX_POLL_SECONDS)
            )

    def parse_job(self, body: Body) -> Job:
        """Read what is told of a job."""
        return self.parse(Job, body)

    def parse(self, shape: type[T], body: object) -> T:
        """Read a part of an answer.

        Raises:
            ServerFailure: it is not what a server of evaluations answers.
        """
        try:
            return shape.model_validate(body)
        except ValidationError as error:
            field = ".".join(map(str, error.errors()[0]["loc"]))
            raise self._strange(field) from None

    def _ask(self, method: str, path: str, **content: Any) -> httpx2.Response:  # noqa: ANN401  # httpx2's
        begun, seconds, is_waiting = self._clock(), FIRST_PAUSE_SECONDS, False
        while True:
            try:
                answer = self._try(method, path, **content)
            except _Passing as failure:
                wait = seconds if failure.after_seconds is None else failure.after_seconds
                wait = max(wait, MIN_POLL_SECONDS)
                if self._clock() + wait > begun + PATIENCE_SECONDS:
                    raise ServerFailure(str(failure), failure.status) from None
                if not is_waiting:
                    self.note(f"{failure}; waiting for it")
                is_waiting = True
                self._pause(wait)
                seconds = min(2 * seconds, MAX_PAUSE_SECONDS)
            else:
                if is_waiting:
                    self.note(f"{self.url} answers again")
                return answer

    def _try(self, method: str, path: str, **content: Any) -> httpx2.Response:  # noqa: ANN401  # httpx2's
        try:
            answer = self._http.request(method, f"{self.url}{path}", **content)
        except httpx2.HTTPError as error:
            message = f"{self.url} does not answer: {_reason(error)}"
            if self._has_answered and isinstance(error, httpx2.TransportError):
                raise _Passing(message) from None
            raise ServerFailure(message) from None
        if answer.status_code in BUSY:
            message = f"{self.url} is busy: {_message(answer)}"
            raise _Passing(message, answer.status_code, _retry_after(answer))
        self._has_answered = True
        if not answer.is_success:
            raise ServerFailure(f"{self.url}: {_message(answer)}", answer.status_code)
        return answer

    def _object(self, answer: httpx2.Response) -> Body:
        try:
            body = answer.json()
        except ValueError:  # no JSON, or no UTF-8
            raise self._strange() from None
        if not isinstance(body, dict):
            raise self._strange()
        return body

    def _strange(self, field: str | None = None) -> ServerFailure:
        where = f" ({field})" if field else ""
        return ServerFailure(
            f"{self.url} answers in words that are not known here{where}: "
            "it may be of another version, or no Dragoman"
        )


def _path(id: str) -> str:
    return f"{PATH}/{quote(id, safe='')}"


def _form(wish: Mapping[str, Any]) -> dict[str, str]:
    """Return fields as a form has them: lists with commas between, what is no text as JSON."""
    return {
        name: ",".join(value)
        if isinstance(value, list)
        else value
        if isinstance(value, str)
        else json.dumps(value)
        for name, value in wish.items()
    }


def _message(answer: httpx2.Response) -> str:
    try:
        error = answer.json()["error"]
        message = str(error["message"])
    except (ValueError, KeyError, TypeError):  # a proxy, or another server
        where = f", {answer.headers['Location']}" if answer.has_redirect_location else ""
        return f"status {answer.status_code} {answer.reason_phrase}{where}"
    if answer.status_code == HTTPStatus.INTERNAL_SERVER_ERROR:
        return f"{message} (request {error.get('request_id')})"
    return message


def _retry_after(answer: httpx2.Response) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else None


def _reason(error: httpx2.HTTPError) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return str(error).rstrip(".") or type(error).__name__


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
