"""Pod manifests for the commands that read files, of which a test states only what matters to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from koordnri.model.qos import QOS_LABEL

Manifest = dict[str, Any]


def manifest(
    name: str = "p",
    qos: str = "",
    *,
    namespace: str = "",
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    requests: Mapping[str, str] | None = None,
    limits: Mapping[str, str] | None = None,
    containers: Sequence[Manifest] = (),
    **spec: Any,
) -> Manifest:
    """A Pod. `containers`: instead of one with the name main, these requests and these limits; `spec`: further keys of it."""
    metadata: Manifest = {"name": name, **({"namespace": namespace} if namespace else {})}
    metadata["labels"] = {**({QOS_LABEL: qos} if qos else {}), **(labels or {})}
    metadata["annotations"] = dict(annotations or {})
    amounts = {kind: dict(some) for kind, some in (("requests", requests), ("limits", limits)) if some}
    main = {"name": "main", "resources": amounts}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": list(containers) or [main], **spec},
    }


def owner_manifest(name: str, cpus: str, qos: str = "LSR", **spec: Any) -> Manifest:
    """A Pod of the namespace shop whose container requests as much as its limit, and so may get exclusive CPUs."""
    amounts = {"cpu": cpus, "memory": "1Gi"}
    return manifest(name, qos, namespace="shop", requests=amounts, limits=amounts, **spec)
