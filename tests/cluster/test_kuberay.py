"""The RayJob of a profile: as many machines, GPUs and words as the launch scripts would start."""

import shlex
from typing import Any

import jsonschema
import pytest
import yaml
from cluster.kuberay_schema import RAY_JOB

from funreason_train.cluster.kuberay import CLAIM, IMAGE, MOUNT, ray_job
from funreason_train.settings.compose import compose


def job(profile: Any, *words: Any) -> Any:
    cluster = compose("sft", [f"cluster={profile}"]).cluster
    return yaml.safe_load(yaml.safe_dump(ray_job(cluster, "sft", list(words), ray="2.60.0")))["spec"]


def test_four_machines_are_a_head_and_three_workers_with_all_their_gpus() -> None:
    spec = job("h20x32", "+recipe=funreason_mt_4b", "run_dir=/shared/runs/a b")
    head = spec["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    (workers,) = spec["rayClusterSpec"]["workerGroupSpecs"]
    assert workers["replicas"] == workers["minReplicas"] == workers["maxReplicas"] == 3
    for pod in (head, workers["template"]["spec"]["containers"][0]):
        assert pod["resources"]["limits"]["nvidia.com/gpu"] == "8" and pod["image"] == IMAGE
        assert int(pod["resources"]["limits"]["cpu"]) >= 8 * 8
        assert {mount["mountPath"] for mount in pod["volumeMounts"]} == {"/dev/shm", MOUNT}
    assert shlex.split(spec["entrypoint"]) == [
        "funreason-train",
        "sft",
        "cluster=h20x32",
        "+recipe=funreason_mt_4b",
        "run_dir=/shared/runs/a b",
    ]
    assert spec["shutdownAfterJobFinishes"] is True


def test_one_machine_has_no_workers_and_a_chosen_profile_stands_once() -> None:
    spec = job("gpu80x8", "cluster=gpu80x8")
    assert "workerGroupSpecs" not in spec["rayClusterSpec"]
    assert spec["entrypoint"].count("cluster=") == 1
    volumes = spec["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["volumes"]
    assert volumes[1]["persistentVolumeClaim"]["claimName"] == CLAIM


@pytest.mark.parametrize("profile", ["h20x32", "gpu80x16", "gpu80x8", "gpu80x1"])
@pytest.mark.parametrize("stage", ["sft", "rl", "pipeline"])
def test_every_field_is_one_that_kuberay_and_kubernetes_know(profile: str, stage: str) -> None:
    cluster = compose("sft", [f"cluster={profile}"]).cluster
    manifest = yaml.safe_load(yaml.safe_dump(ray_job(cluster, stage, ["run_dir=/shared/run"], ray="2.60.0")))
    jsonschema.validate(manifest, RAY_JOB)
    spec = manifest["spec"]["rayClusterSpec"]
    for group in (spec["headGroupSpec"], *spec.get("workerGroupSpecs", [])):
        pod = group["template"]["spec"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} == volumes
            assert container["resources"]["limits"] == container["resources"]["requests"], (
                "extended resources"
            )


def test_a_field_that_kuberay_does_not_know_would_be_found() -> None:
    manifest = ray_job(compose("sft", ["cluster=gpu80x8"]).cluster, "sft", ray="2.60.0")
    manifest["spec"]["shutdownAfterJobFinished"] = True
    with pytest.raises(jsonschema.ValidationError, match="shutdownAfterJobFinished"):
        jsonschema.validate(manifest, RAY_JOB)
