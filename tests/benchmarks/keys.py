"""What keys cost a request: processor time of the server with and without them.

    python tests/benchmarks/keys.py

Two servers of the published bundles take turns, each asked one sentence after the other that it
remembers from before, so that nothing but the request itself is left to measure.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from statistics import median

from measuring import alternate, ratio
from server_process import ROOT, ServerProcess, serving

from service.settings import BUNDLES

BODY = json.dumps({"text": "Guten Morgen.", "source": "de", "target": "en"})
MOST = "1000000000"
LIMITS = ("--requests-per-minute", "--characters-per-minute", "--characters-per-month")


def new_key(folder: str) -> str:
    """Make a key that has all limits, and comes to none of them."""
    command = [sys.executable, "-m", "service", "keys", "add", "benchmark", "--data", folder]
    words = [word for limit in LIMITS for word in (limit, MOST)]
    return subprocess.check_output([*command, *words], cwd=ROOT, text=True).strip()


def milliseconds(server: ServerProcess, headers: dict[str, str], seconds: float) -> float:
    """Return the processor time of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    requests, before, end = 0, server.cpu_seconds(), time.monotonic() + seconds
    while time.monotonic() < end:
        connection.request("POST", "/v1/translate", BODY, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
        requests += 1
    connection.close()
    return 1000 * (server.cpu_seconds() - before) / requests


def await_models(server: ServerProcess) -> None:
    """Wait until the server can translate."""
    while not server.metrics().get("dragoman_model_info"):
        time.sleep(0.05)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4, help="of each turn")
    arguments = parser.parse_args()
    plain = {"Content-Type": "application/json"}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DRAGOMAN_DATA"] = folder
        keyed = plain | {"Authorization": f"Bearer {new_key(folder)}"}
        with serving(BUNDLES) as without, serving(BUNDLES, "--keys", "required") as with_keys:
            for server in (without, with_keys):
                await_models(server)
            found = alternate(
                {
                    "without": lambda: milliseconds(without, plain, arguments.seconds),
                    "with": lambda: milliseconds(with_keys, keyed, arguments.seconds),
                },
                arguments.rounds,
            )
    for name, figures in found.items():
        sys.stdout.write(f"{name} keys: {median(figures):.2f} ms of processor time a request\n")
    sys.stdout.write(f"ratio: {ratio(found['with'], found['without']):.3f}\n")


if __name__ == "__main__":
    main()
