"""Start the service within a container, and try it there: ready, translate, drain.

`check.py` runs this in the images; it needs nothing but Python. With the argument `confined`, it
also looks whether the container may do what it should not.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

URL = "http://127.0.0.1:8000"
TEXT = "Guten Morgen. Wie geht es dir?"
START_SECONDS = 120
REQUESTS = 8


def ask(path: str, body: object = None) -> dict[str, Any]:
    """Return the answer of the service, read as JSON."""
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(URL + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        read: dict[str, Any] = json.load(answer)
    return read


def translate(text: str) -> str:
    """Return a translation from whatever language the text is in."""
    answer = ask("/v1/translate", {"text": text, "target": "en", "beam": 4, "cache": False})
    return str(answer["translations"][0]["text"])


def is_healthy() -> bool:
    """Ask as the container's own health check does."""
    asked = subprocess.run(["dragoman", "healthcheck"], capture_output=True, check=False)
    return asked.returncode == 0


def try_confinement() -> list[str]:
    """Return what is refused, or fail if something is not."""
    status = Path("/proc/self/status").read_text()
    words = {line.split(":")[0]: line.split()[-1] for line in status.splitlines() if ":" in line}
    assert int(words["CapEff"], 16) == int(words["CapBnd"], 16) == 0, "there are capabilities"
    assert words["NoNewPrivs"] == "1", "privileges can be gained"
    for path in ("/probe", "/opt/dragoman/probe", "/data/probe"):
        try:
            Path(path).write_text("")
        except OSError:
            continue
        raise AssertionError(f"{path} can be written")
    return ["no capabilities, none to gain, root file system read-only"]


def try_network() -> str:
    """Return that nothing but loopback can be reached, or fail if something can."""
    with socket.socket() as outside:
        outside.settimeout(3)
        try:
            outside.connect(("192.0.2.1", 80))
        except OSError as failure:
            return f"no network but loopback ({failure.strerror or failure})"
    raise AssertionError("there is a network")


def wait_until_healthy(server: subprocess.Popen[bytes]) -> float:
    """Return after how many seconds the service was ready."""
    begun = time.monotonic()
    while not is_healthy():
        assert server.poll() is None, f"the service ended with {server.returncode}"
        assert time.monotonic() < begun + START_SECONDS, "it does not get ready"
    return time.monotonic() - begun


def drain(server: subprocess.Popen[bytes]) -> str:
    """Send SIGTERM amid long requests: each is answered, or refused because it came too late."""
    statuses: list[int] = []

    def call(number: int) -> None:
        try:
            translate(f"{TEXT} Nummer {number}. " * 40)
        except urllib.error.HTTPError as refusal:
            statuses.append(refusal.code)
        else:
            statuses.append(200)

    callers = [threading.Thread(target=call, args=[number]) for number in range(REQUESTS)]
    for caller in callers:
        caller.start()
    while rows() == 0:
        assert any(caller.is_alive() for caller in callers), "all was done before it could be ended"
    server.send_signal(signal.SIGTERM)
    begun = time.monotonic()
    for caller in callers:
        caller.join(60)
    status = server.wait(60)
    answered, refused = statuses.count(200), statuses.count(503)
    assert status == 0, f"exit status {status}"
    assert answered, "what was being decoded was not answered"
    assert answered + refused == REQUESTS, f"of {REQUESTS} requests: {statuses}"
    seconds = time.monotonic() - begun
    said = f"{answered} of {REQUESTS} requests answered, {refused} refused that came after it"
    return f"SIGTERM: {said}, exit status 0 after {seconds:.1f} s"


def rows() -> float:
    """Return how many rows are being decoded."""
    with urllib.request.urlopen(URL + "/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("dragoman_rows{"))


def main() -> None:
    """Try everything and say what was seen."""
    said = [f"user {os.getuid()}, groups {os.getgroups()}", try_network()]
    if "confined" in sys.argv:
        said += try_confinement()
    server = subprocess.Popen(["dragoman", "serve"], stderr=subprocess.DEVNULL)
    try:
        said.append(f"healthy after {wait_until_healthy(server):.1f} s")
        said.append(f"{TEXT} -> {translate(TEXT)}")
        models = ask("/readyz")["models"]
        said += [
            f"{each['name']}/{each['version']} {each['variant']}, {each['provider']}"
            for each in models
        ]
        status = Path(f"/proc/{server.pid}/status").read_text()
        said.append(" ".join(next(line for line in status.splitlines() if "VmRSS" in line).split()))
        said.append(drain(server))
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.kill()
    print("\n".join(said))


if __name__ == "__main__":
    main()
