"""The example for Kubernetes: what its schemas and the service's own limits demand."""

import re
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from service.settings import Settings

ROOT = Path(__file__).parents[2]
OBJECTS = list(yaml.safe_load_all((ROOT / "deploy/kubernetes.yaml").read_text(encoding="utf-8")))
BY_KIND = {each["kind"]: each for each in OBJECTS}
POD = BY_KIND["Deployment"]["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]


@pytest.mark.parametrize("version", ["1.30", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("each", OBJECTS, ids=[each["kind"] for each in OBJECTS])
def test_object_follows_the_schema(each, version):
    kubernetes_validate.validate(each, version, strict=True)


def test_each_probe_asks_its_own_question():
    asked = {
        name: CONTAINER[f"{name}Probe"]["httpGet"]["path"]
        for name in ("startup", "liveness", "readiness")
    }

    assert asked == {"startup": "/startupz", "liveness": "/livez", "readiness": "/readyz"}


def test_pod_is_given_longer_to_end_than_it_pauses_and_drains():
    (pause_seconds,) = re.findall(
        r"sleep\((\d+)\)", CONTAINER["lifecycle"]["preStop"]["exec"]["command"][-1]
    )
    drain_seconds = Settings.model_fields["drain_seconds"].default
    assert POD["terminationGracePeriodSeconds"] > drain_seconds + int(pause_seconds)


def test_container_is_confined():
    security = CONTAINER["securityContext"]

    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["runAsUser"] > 0
    assert POD["automountServiceAccountToken"] is False
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert "memory" in CONTAINER["resources"]["limits"]


def test_settings_exist():
    names = {each["name"].removeprefix("DRAGOMAN_").lower() for each in CONTAINER["env"]}

    assert names <= Settings.model_fields.keys() | {f"{name}_file" for name in ["database"]}


def test_objects_choose_the_pods_of_the_deployment():
    labels = BY_KIND["Deployment"]["spec"]["template"]["metadata"]["labels"]

    assert BY_KIND["Service"]["spec"]["selector"] == labels
    assert BY_KIND["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert BY_KIND["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == "dragoman"


def test_mounts_have_volumes_and_replicas_share_the_one_that_holds_the_lock():
    mounted = {each["name"] for each in CONTAINER["volumeMounts"]}

    assert mounted == {each["name"] for each in POD["volumes"]}
    assert BY_KIND["PersistentVolumeClaim"]["spec"]["accessModes"] == ["ReadWriteMany"]
