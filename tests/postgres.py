"""A PostgreSQL server of a test's own, which it may stop and start."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import pytest


def tools() -> Path:
    """Return the folder of PostgreSQL's programs; without them, the test is skipped."""
    found = shutil.which("initdb") or max(
        map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), default=None
    )
    if found is None:
        pytest.skip("PostgreSQL is not installed")
    return Path(found).parent


class Postgres:
    """A server in a folder and on a port of its own."""

    def __init__(self, folder: Path) -> None:
        self._tools = tools()
        self._folder = folder
        # It refuses to run as root, and a folder of pytest's is root's alone.
        self._user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._run("initdb", "--auth=trust", "--username=postgres", "--no-sync", "-D", self._data)
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        options = f"-c listen_addresses=127.0.0.1 -c port={self._port} -c fsync=off"
        options += f" -c unix_socket_directories={self._folder}"
        self._run("pg_ctl", "start", "--wait", "-D", self._data, "-o", options)

    def stop(self) -> None:
        """End it as a crash of its machine does: nobody is told."""
        self._run("pg_ctl", "stop", "--wait", "-m", "immediate", "-D", self._data)

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _run(self, tool: str, *arguments: str) -> None:
        with (self._folder / "log").open("a") as log:
            subprocess.run(
                [*self._user, str(self._tools / tool), *arguments],
                check=True,
                cwd=self._folder,
                stdout=log,
                stderr=log,
            )


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Run a server that ends with the block."""
    tools()
    folder = Path(mkdtemp(prefix="postgres-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        postgres = Postgres(folder)
        try:
            yield postgres
        finally:
            postgres.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
