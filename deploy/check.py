#!/usr/bin/env python3
"""Build both images and run them, on a machine without a container engine.

    sudo deploy/check.py                      the cpu image: some minutes, 12 GB of disk
    sudo deploy/check.py --targets cpu,gpu    both: 28 GB of disk, and 1.5 GB of packages to fetch

It needs root, Debian's buildah and unshare; debootstrap, unless --base names an image; and, to run
the image as confined as Compose would, podman and runc. What is not there is said, and left out.

Everything lies in one new folder below --folder, which is removed at the end, and every command has
an end. Each step is a line: done, failed, or could not be run. Exit status 1 if any failed.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MIRROR = "http://deb.debian.org/debian"
NEEDED_GB = {"cpu": 12, "gpu": 28}
BUILD_SECONDS = 2400
RUN_SECONDS = 300
# Compose's own confinement. Podman would raise the limits of files and processes beyond what this
# machine may allow, so they are named.
CONFINEMENT = [
    *("--read-only", "--tmpfs", "/tmp:size=256m", "--network", "none"),
    *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    *("--memory", "2g", "--pids-limit", "512"),
    *("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=2048:2048"),
]
OTHER_USER = "4242:0"
BASE = "localhost/python:bookworm"


class CouldNot(Exception):
    """Something that the machine lacks."""


class Bench:
    """A folder with the storage of images, and the commands that work in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # A copy: what runs for long is not to change with the working tree.
        self.probe = shutil.copy(Path(__file__).with_name("probe.py"), folder)
        storage = (
            f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n'
        )
        (folder / "storage.conf").write_text(storage)
        # Without systemd, cgroups are made by podman itself.
        (folder / "containers.conf").write_text(
            '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\nruntime = "runc"\n'
        )
        self._environment = os.environ | {
            "CONTAINERS_STORAGE_CONF": f"{folder}/storage.conf",
            "CONTAINERS_CONF": f"{folder}/containers.conf",
            "BUILDAH_ISOLATION": "chroot",
            "TMPDIR": str(folder),
        }

    def run(self, *words: str | Path, seconds: float = 300, status: int | None = 0) -> str:
        """Run a command to its end and return what it prints.

        Raises:
            CouldNot: there is no such command.
            RuntimeError: it exits with another status, or not in time.
        """
        command = [str(word) for word in words]
        if shutil.which(command[0]) is None:
            raise CouldNot(f"{command[0]} is not installed")
        try:
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{command[:2]} took longer than {seconds} s") from None
        if status is not None and done.returncode != status:
            last = "\n".join(done.stdout.splitlines()[-15:])
            raise RuntimeError(f"{' '.join(command[:3])} ... exits with {done.returncode}:\n{last}")
        return done.stdout

    def close(self) -> None:
        """Remove everything, unless something is still mounted in it."""
        for tool in ("podman", "buildah"):
            if shutil.which(tool):
                self.run(
                    tool, "rm", "--all", *(["--force"] if tool == "podman" else []), status=None
                )
        if str(self.folder) in Path("/proc/mounts").read_text():
            raise RuntimeError(f"something is still mounted below {self.folder}: not removed")
        shutil.rmtree(self.folder)


def make_base(bench: Bench, base: str | None) -> str:
    """Return the base image: the one that is named, or one made of Debian's own packages."""
    if base:
        return base
    root = bench.folder / "root"
    packages = "--include=python3,python3-venv,ca-certificates"
    bench.run("debootstrap", "--variant=minbase", packages, "bookworm", root, MIRROR, seconds=1200)
    for leftover in ("var/cache/apt/archives", "var/lib/apt/lists"):
        shutil.rmtree(root / leftover)
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    container = bench.run("buildah", "from", "scratch").strip()
    bench.run("buildah", "add", "--quiet", container, root, "/")
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    bench.run("buildah", "config", "--env", path, "--cmd", "python", container)
    bench.run("buildah", "commit", "--quiet", "--rm", container, BASE)
    shutil.rmtree(root)
    return BASE


def build(bench: Bench, target: str, base: str, secrets: Sequence[str]) -> str:
    """Build a target, with a layer for each instruction as Docker has it."""
    free_gb = shutil.disk_usage(bench.folder).free / 1e9
    if free_gb < NEEDED_GB[target]:
        raise CouldNot(f"{free_gb:.0f} GB of disk are free, {NEEDED_GB[target]} are needed")
    options = ["--format", "docker", "--layers", "--build-arg", f"BASE={base}"]
    options += [word for secret in secrets for word in ("--secret", secret)]
    files = ["-f", "deploy/Dockerfile", "--target", target, "-t", f"localhost/dragoman:{target}"]
    bench.run("buildah", "build", *options, *files, ".", seconds=BUILD_SECONDS)
    return layers(bench, f"localhost/dragoman:{target}")


def layers(bench: Bench, image: str) -> str:
    """Return a table of the layers: what made each, its size, and what of it is transferred."""
    sizes = []
    for name, option in (("plain", "--disable-compression"), ("packed", "--quiet")):
        folder = bench.folder / name
        bench.run("buildah", "push", option, image, f"dir:{folder}", seconds=900)
        manifest = json.loads((folder / "manifest.json").read_text())
        sizes.append([layer["size"] for layer in manifest["layers"]])
        if name == "plain":
            config = (folder / manifest["config"]["digest"].removeprefix("sha256:")).read_text()
        shutil.rmtree(folder)
    made_by = [
        each["created_by"] for each in json.loads(config)["history"] if not each.get("empty_layer")
    ]
    rows = [
        f"| {_short(made)} | {plain / 1e6:.1f} | {packed / 1e6:.1f} |"
        for made, plain, packed in zip(made_by, *sizes, strict=True)
    ]
    total = f"| all | {sum(sizes[0]) / 1e6:.1f} | {sum(sizes[1]) / 1e6:.1f} |"
    return "\n".join(["| layer | MB | MB packed |", "|---|--:|--:|", *rows, total])


def _short(made_by: str) -> str:
    command = made_by.removeprefix("/bin/sh -c ").removeprefix("#(nop) ")
    return re.sub(r"\w+:[0-9a-f]{20,} in ", "to ", command).strip()[:60]


def run_in_chroot(bench: Bench, target: str, user: str, *settings: str) -> str:
    """Let the probe try the service as a user, without a network but loopback."""
    container = bench.run("buildah", "from", "--pull-never", f"localhost/dragoman:{target}").strip()
    environment = [word for each in settings for word in ("--env", each)]
    try:
        return bench.run(
            *("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"),
            *("buildah", "run", "--isolation", "chroot", "--user", user, *environment),
            *("--volume", f"{bench.probe}:/probe.py:ro", container, "--", "python", "/probe.py"),
            seconds=RUN_SECONDS,
        ).strip()
    finally:
        bench.run("buildah", "rm", container)


def refuses_without_device(bench: Bench) -> str:
    """Let the GPU image start on a machine without a GPU: it must say what is missing."""
    container = bench.run("buildah", "from", "--pull-never", "localhost/dragoman:gpu").strip()
    try:
        said = bench.run("buildah", "run", container, "--", "dragoman", "serve", status=None)
    finally:
        bench.run("buildah", "rm", container)
    reasons = [line for line in said.splitlines() if "cuda" in line.lower()]
    if not reasons:
        raise RuntimeError(f"it does not say what is missing:\n{said}")
    return reasons[-1]


def run_confined(bench: Bench, target: str, user: str) -> str:
    """Let the probe try the service in a container with everything that Compose asks for."""
    mount = ["--volume", f"{bench.probe}:/probe.py:ro", "--user", user, "--entrypoint", "python"]
    image = f"localhost/dragoman:{target}"
    command = ["podman", "run", "--rm", *CONFINEMENT, *mount, image, "/probe.py", "confined"]
    return bench.run(*command, seconds=RUN_SECONDS).strip()


def run_as_it_is(bench: Bench, target: str) -> str:
    """Start the container by its own entrypoint, wait until it is healthy, and stop it."""
    volume = ["--volume", "data:/data"]
    image = f"localhost/dragoman:{target}"
    bench.run(
        "podman", "run", "--detach", "--name", "it", *CONFINEMENT, *volume, image, status=None
    )
    begun = time.monotonic()
    while (
        "ready"
        not in bench.run("podman", "exec", "it", "dragoman", "healthcheck", status=None).split()
    ):
        if time.monotonic() > begun + 120:
            raise RuntimeError(bench.run("podman", "logs", "it", status=None))
    ready_seconds = time.monotonic() - begun
    bench.run("podman", "exec", "it", "dragoman", "keys", "add", "check")
    bench.run("podman", "stop", "--time", "40", "it", status=None)
    status = bench.run("podman", "inspect", "it", "--format", "{{.State.ExitCode}}").split()[-1]
    if status != "0":
        raise RuntimeError(f"exit status {status} after SIGTERM")
    return f"healthy after {ready_seconds:.1f} s; a key kept in its volume; SIGTERM: exit status 0"


def step(outcomes: list[str], name: str, work: Callable[..., str], *arguments: object) -> bool:
    """Do one thing, and say what became of it and how long it took."""
    begun = time.monotonic()
    try:
        told, outcome = work(*arguments), "done"
    except CouldNot as reason:
        told, outcome = str(reason), "could not be run"
    except (RuntimeError, OSError) as failure:
        told, outcome = str(failure), "failed"
    outcomes.append(outcome)
    print(f"\n## {name}: {outcome} ({time.monotonic() - begun:.0f} s)\n\n{told}", flush=True)
    return outcome == "done"


def check(bench: Bench, arguments: argparse.Namespace) -> list[str]:
    """Do all steps in turn and return what became of each."""
    outcomes: list[str] = []
    step(outcomes, "Compose files, alone and together", run_tests, bench)
    base = arguments.base or BASE
    if not step(outcomes, f"Base image {base}", make_base, bench, arguments.base):
        return outcomes
    for target in arguments.targets.split(","):
        if step(outcomes, f"Build {target}", build, bench, target, base, arguments.secret):
            try_cpu(bench, outcomes) if target == "cpu" else try_gpu(bench, outcomes)
    return outcomes


def run_tests(bench: Bench) -> str:
    """Run the tests of all files here that need no image."""
    tests = ["tests/test_deploy.py", "tests/deploy"]
    said = bench.run(sys.executable, "-m", "pytest", "-q", *tests, seconds=600)
    return said.strip().splitlines()[-1]


def try_cpu(bench: Bench, outcomes: list[str]) -> None:
    """Try the cpu image, as its own user and as another."""
    for user in ("10001:0", OTHER_USER):
        step(outcomes, f"cpu in a chroot, user {user}", run_in_chroot, bench, "cpu", user)
        step(outcomes, f"cpu confined, user {user}", run_confined, bench, "cpu", user)
    step(outcomes, "cpu by its own entrypoint", run_as_it_is, bench, "cpu")


def try_gpu(bench: Bench, outcomes: list[str]) -> None:
    """Try the gpu image as far as that goes without a GPU."""
    step(outcomes, "gpu without a GPU", refuses_without_device, bench)
    on_cpu = "DRAGOMAN_DEVICE=cpu"
    step(outcomes, "gpu, told to use the CPU", run_in_chroot, bench, "gpu", "10001:0", on_cpu)


def main() -> int:
    """Check, tidy up, and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()), help="where to work"
    )
    parser.add_argument("--targets", default="cpu", help="of cpu and gpu, with a comma")
    parser.add_argument("--base", help="an image to start from, instead of one made by debootstrap")
    parser.add_argument(
        "--secret", action="append", default=[], help="for the build, such as id=pip,src=pip.conf"
    )
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("only root can make a base image and enter it")
    bench = Bench(Path(tempfile.mkdtemp(prefix="dragoman-check-", dir=arguments.folder)))
    try:
        outcomes = check(bench, arguments)
    finally:
        bench.close()
    print("\n" + ", ".join(f"{outcomes.count(each)} {each}" for each in dict.fromkeys(outcomes)))
    return int("failed" in outcomes)


if __name__ == "__main__":
    sys.exit(main())
