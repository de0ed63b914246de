"""The images and Compose files, as far as they can be checked without a container engine."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dockerfile_parse import DockerfileParser

from service.settings import Settings

ROOT = Path(__file__).parents[1]
DOCKERFILE = ROOT / "deploy/Dockerfile"
HADOLINT = shutil.which("hadolint", path=str(Path(sys.executable).parent))


def merge(base, overlay):
    """Merge as Compose does for the keys used here: mappings by key, the rest replaced."""
    if not isinstance(base, dict):
        return overlay
    return base | {key: merge(base.get(key), value) for key, value in overlay.items()}


def load(name: str) -> dict:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


BASE = load("docker-compose.yml")
FILES = {"cpu": BASE, "gpu": merge(BASE, load("deploy/compose.gpu.yml"))}


def stages() -> dict[str, list[dict]]:
    """Return the instructions of each stage of the Dockerfile, FROM first."""
    parser = DockerfileParser(path=str(DOCKERFILE), cache_content=True)
    found: dict[str, list[dict]] = {}
    for line in parser.structure:
        if line["instruction"] == "FROM":
            name = line["value"].split(" AS ")[1]
            found[name] = []
        if line["instruction"] != "COMMENT":
            found[name].append(line)
    return found


def instructions_of(target: str) -> list[dict]:
    """Return what makes a target, the stages it starts from included."""
    lines = stages().get(target, [])
    return instructions_of(lines[0]["value"].split()[0]) + lines if lines else []


@pytest.fixture(params=FILES)
def target(request) -> str:
    return request.param


@pytest.fixture
def service(target) -> dict:
    return FILES[target]["services"]["dragoman"]


def test_compose_files_follow_the_specification(target, tmp_path):
    path = tmp_path / "compose.yml"
    path.write_text(yaml.safe_dump(FILES[target]), encoding="utf-8")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]

    checked = subprocess.run([*command, str(path)], capture_output=True, text=True, check=False)

    assert (checked.returncode, checked.stdout.strip()) == (0, "ok -- validation done")


@pytest.mark.skipif(HADOLINT is None, reason="hadolint has no package for this machine")
def test_dockerfile_satisfies_the_linter():
    checked = subprocess.run(
        [str(HADOLINT), str(DOCKERFILE)], capture_output=True, text=True, check=False
    )

    assert (checked.returncode, checked.stdout) == (0, "")


def test_each_compose_file_builds_a_target_that_exists(target, service):
    assert service["build"]["target"] == target
    assert target in stages()


def test_build_without_a_target_makes_the_cpu_image():
    assert list(stages())[-1] == "cpu"


def test_copied_files_exist_and_are_sent_to_the_builder():
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    sent = set(re.findall(r"^!(.+)$", ignored, re.MULTILINE))

    lines = [line for stage in stages().values() for line in stage]
    copied = [line["value"].split() for line in lines if line["instruction"] == "COPY"]
    sources = [source for *sources, _ in copied if "--from" not in sources[0] for source in sources]
    assert {source for source in sources if not list(ROOT.glob(source))} == set()
    assert {source.split("/")[0] for source in sources} == sent


def test_copied_stages_exist():
    text = DOCKERFILE.read_text(encoding="utf-8")

    assert set(re.findall(r"--from=(\S+)", text)) <= stages().keys()


def test_image_runs_as_a_user_without_privileges(target):
    users = [line["value"] for line in instructions_of(target) if line["instruction"] == "USER"]

    assert users[-1].split(":")[0].isdecimal()
    assert int(users[-1].split(":")[0]) > 0


def test_image_runs_the_program_and_not_a_shell(target):
    last = {line["instruction"]: line["value"] for line in instructions_of(target)}

    assert (last["ENTRYPOINT"], last["CMD"]) == ('["dragoman"]', '["serve"]')


def test_images_are_without_pytorch():
    code = " ".join(line["content"] for stage in stages().values() for line in stage)

    assert re.findall(r"\[[^\]]*train[^\]]*\]|torch", code) == []


def test_every_setting_named_in_deployment_exists(target, service):
    image = [line["value"] for line in instructions_of(target) if line["instruction"] == "ENV"]
    named = set(re.findall(r"DRAGOMAN_(\w+)", " ".join([*image, *service["environment"]])))

    assert {name.lower() for name in named} <= Settings.model_fields.keys()


def test_container_is_confined(service):
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    writable = [volume["target"] for volume in service["volumes"] if not volume.get("read_only")]
    assert writable == ["/data"]
    assert {"memory", "pids"} <= service["deploy"]["resources"]["limits"].keys()


def test_port_is_open_to_this_machine_only_by_default(service):
    assert service["ports"] == ["${DRAGOMAN_HOST:-127.0.0.1}:${DRAGOMAN_PORT:-8000}:8000"]


def test_container_is_given_longer_to_stop_than_the_service_takes_to_drain(service):
    grace_seconds = int(service["stop_grace_period"].removesuffix("s"))

    assert grace_seconds > Settings.model_fields["drain_seconds"].default


def test_health_is_asked_by_the_program_itself(service):
    assert service["healthcheck"]["test"] == ["CMD", "dragoman", "healthcheck"]


def test_only_the_gpu_file_reserves_a_device():
    cpu, gpu = (FILES[name]["services"]["dragoman"]["deploy"]["resources"] for name in FILES)

    assert "reservations" not in cpu
    assert gpu["reservations"]["devices"] == [
        {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    ]
    assert gpu["limits"]["pids"] == cpu["limits"]["pids"]
