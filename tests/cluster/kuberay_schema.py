"""The fields of a RayJob as far as ours uses them, in the form of a JSON schema.

Written by hand from KubeRay's ray-operator/apis/ray/v1/rayjob_types.go and raycluster_types.go (the source
of the published CRDs, ray.io_rayjobs.yaml) and, for pods, from Kubernetes' core/v1 reference. A field that is
not listed is refused, as `kubectl apply` refuses it with strict validation.
"""

from __future__ import annotations

from typing import Any


def _fields(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_FLAG = {"type": "boolean"}
_TEXTS = {"type": "object", "additionalProperties": _TEXT}
#: A Kubernetes name (RFC 1123): lower case, digits and hyphens.
_NAME = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63}
#: A Kubernetes quantity, as far as it is used here.
_QUANTITY = {"type": "object", "additionalProperties": {"type": "string", "pattern": r"^[0-9]+(Mi|Gi)?$"}}

_CONTAINER = _fields(
    ("name", "image"),
    name=_NAME,
    image=_TEXT,
    command={"type": "array", "items": _TEXT},
    args={"type": "array", "items": _TEXT},
    env={"type": "array", "items": _fields(("name",), name=_TEXT, value=_TEXT)},
    resources=_fields(limits=_QUANTITY, requests=_QUANTITY),
    volumeMounts={
        "type": "array",
        "items": _fields(("name", "mountPath"), name=_NAME, mountPath=_TEXT, readOnly=_FLAG),
    },
)
_VOLUME = _fields(
    ("name",),
    name=_NAME,
    emptyDir=_fields(medium={"enum": ["", "Memory"]}, sizeLimit=_TEXT),
    persistentVolumeClaim=_fields(("claimName",), claimName=_TEXT, readOnly=_FLAG),
)
_POD = _fields(
    ("containers",),
    containers={"type": "array", "minItems": 1, "items": _CONTAINER},
    volumes={"type": "array", "items": _VOLUME},
)
_TEMPLATE = _fields(("spec",), metadata=_fields(labels=_TEXTS, annotations=_TEXTS), spec=_POD)
_HEAD = _fields(
    ("rayStartParams", "template"),
    rayStartParams=_TEXTS,
    template=_TEMPLATE,
    serviceType=_TEXT,
    enableIngress=_FLAG,
)
_WORKERS = _fields(
    ("groupName", "minReplicas", "maxReplicas", "rayStartParams", "template"),
    groupName=_NAME,
    replicas=_COUNT,
    minReplicas=_COUNT,
    maxReplicas=_COUNT,
    numOfHosts=_COUNT,
    rayStartParams=_TEXTS,
    template=_TEMPLATE,
)
_CLUSTER = _fields(
    ("headGroupSpec",),
    headGroupSpec=_HEAD,
    workerGroupSpecs={"type": "array", "items": _WORKERS},
    rayVersion=_TEXT,
    enableInTreeAutoscaling=_FLAG,
    suspend=_FLAG,
)
_SPEC = _fields(
    (),
    entrypoint=_TEXT,
    rayClusterSpec=_CLUSTER,
    backoffLimit=_COUNT,
    activeDeadlineSeconds=_COUNT,
    runtimeEnvYAML=_TEXT,
    jobId=_TEXT,
    metadata=_TEXTS,
    submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode"]},
    entrypointNumCpus={"type": "number"},
    entrypointNumGpus={"type": "number"},
    entrypointResources=_TEXT,
    ttlSecondsAfterFinished=_COUNT,
    shutdownAfterJobFinishes=_FLAG,
    suspend=_FLAG,
)
RAY_JOB = _fields(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata=_fields(("name",), name=_NAME, namespace=_NAME, labels=_TEXTS, annotations=_TEXTS),
    spec=_SPEC,
)
