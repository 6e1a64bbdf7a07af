"""A Node, pods and a policy as large as usual ones, for what they cost the API server."""

from __future__ import annotations

import hashlib

from tests.kube.api_server import Json
from tests.kube.control_plane import ControlPlane

IMAGES = 50
"""kubelet reports so many (nodeStatusMaxImages)"""
PODS = 110
"""kubelet's limit per node"""


def node(name: str) -> Json:
    """As kubelet and a cloud provider register it."""
    labels = {
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        "kubernetes.io/hostname": name,
        "node.kubernetes.io/instance-type": "ecs.c7.16xlarge",
        "topology.kubernetes.io/region": "cn-hangzhou",
        "topology.kubernetes.io/zone": "cn-hangzhou-k",
        "node-pool": "colocation",
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
    }
    annotations = {
        "node.alpha.kubernetes.io/ttl": "15",
        "volumes.kubernetes.io/controller-managed-attach-detach": "true",
        "csi.volume.kubernetes.io/nodeid": '{"disk.csi.example.com":"i-0a1b2c3d4e5f60718"}',
        "koordnri.sh/policy": "dcce4f6a5b62@2026-11-29T12:00:00Z",
    }
    spec = {"podCIDR": "10.4.7.0/24", "providerID": "cn-hangzhou.i-0a1b2c3d4e5f60718"}
    return {"metadata": {"name": name, "labels": labels, "annotations": annotations}, "spec": spec}


def node_status(name: str, at: str) -> Json:
    """As kubelet reports it every 5 minutes."""
    amounts = {"cpu": "64", "memory": "263921144Ki", "pods": "110", "ephemeral-storage": "102687672Ki"}
    conditions = [
        {
            "type": kind,
            "status": status,
            "reason": f"Kubelet{kind}",
            "message": f"kubelet has {kind}: {status}",
            "lastHeartbeatTime": at,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        for kind, status in (
            ("MemoryPressure", "False"),
            ("DiskPressure", "False"),
            ("PIDPressure", "False"),
            ("Ready", "True"),
        )
    ]
    images = [
        {
            "names": [
                f"registry.example.com/production/service-{i}@sha256:{digest(i)}",
                f"registry.example.com/production/service-{i}:2.14.{i}",
            ],
            "sizeBytes": 150_000_000 + i,
        }
        for i in range(IMAGES)
    ]
    info = {
        "architecture": "amd64",
        "bootID": f"{1:032x}",
        "containerRuntimeVersion": "containerd://2.1.9",
        "kernelVersion": "6.12.0",
        "kubeProxyVersion": "",
        "kubeletVersion": "v1.34.1",
        "machineID": f"{2:032x}",
        "operatingSystem": "linux",
        "osImage": "Debian GNU/Linux 13 (trixie)",
        "systemUUID": f"{3:032x}",
    }
    return {
        "status": {
            "addresses": [{"type": "InternalIP", "address": "10.0.7.1"}, {"type": "Hostname", "address": name}],
            "allocatable": amounts,
            "capacity": amounts,
            "conditions": conditions,
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "images": images,
            "nodeInfo": info,
        }
    }


def digest(*parts: object) -> str:
    """64 digits that look random, the same each time."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def pod(node_name: str, number: int) -> Json:
    """As a Deployment's, with one container and a sidecar. Two replicas of each run on the node."""
    app = f"{digest(number // 2)[:7]}-service"
    mounts = [
        {"name": "config", "mountPath": "/etc/service", "readOnly": True},
        {"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": True},
    ]
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10}
    resources = {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}}
    env = [{"name": f"SERVICE_SETTING_{i}", "value": digest(app, i)[:16]} for i in range(8)]
    containers = [
        {
            "name": name,
            "image": f"registry.example.com/production/{app}-{name}:2.14.3",
            "args": [f"--instance={number}"],
            "env": env,
            "resources": resources,
            "volumeMounts": mounts,
            "livenessProbe": probe,
            "readinessProbe": probe,
        }
        for name in ("service", "sidecar")
    ]
    labels = {
        "app.kubernetes.io/name": app,
        "app.kubernetes.io/instance": f"{app}-production",
        "app.kubernetes.io/version": "2.14.3",
        "pod-template-hash": digest(app)[:9],
        "koordinator.sh/qosClass": "LS",
    }
    annotations = {"prometheus.io/scrape": "true", "checksum/config": digest(app, "config")}
    volumes = [{"name": "config", "configMap": {"name": app}}, {"name": "token", "emptyDir": {}}]
    return {
        "metadata": {"name": f"service-{number}", "labels": labels, "annotations": annotations},
        "spec": {"nodeName": node_name, "containers": containers, "volumes": volumes},
    }


def pod_status(number: int) -> Json:
    """As kubelet reports it once the pod runs."""
    app = f"{digest(number // 2)[:7]}-service"
    since = f"2026-11-29T12:{number % 60:02}:{number * 7 % 60:02}Z"
    conditions = [
        {"type": kind, "status": "True", "lastProbeTime": None, "lastTransitionTime": since}
        for kind in ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    ]
    statuses = [
        {
            "name": name,
            "image": f"registry.example.com/production/{app}-{name}:2.14.3",
            "imageID": f"registry.example.com/production/{app}-{name}@sha256:{digest(app, name)}",
            "containerID": f"containerd://{digest(number, name)}",
            "ready": True,
            "started": True,
            "restartCount": 0,
            "state": {"running": {"startedAt": since}},
        }
        for name in ("service", "sidecar")
    ]
    return {
        "status": {
            "phase": "Running",
            "hostIP": "10.0.7.1",
            "podIP": f"10.4.7.{number}",
            "podIPs": [{"ip": f"10.4.7.{number}"}],
            "startTime": since,
            "qosClass": "Burstable",
            "conditions": conditions,
            "containerStatuses": statuses,
        }
    }


def policy() -> dict[str, str]:
    """4 KiB: three keys, some node strategies."""
    selector = '"nodeSelector": {"matchLabels": {"node-pool": "pool-%d"}}'
    strategy = f'{{"name": "pool-%d", {selector}, "enable": true, "cpuSuppressThresholdPercent": 65}}'
    nodes = ",\n".join(strategy % (i, i) for i in range(12))
    return {
        "resource-threshold-config": f'{{"clusterStrategy": {{"enable": true}}, "nodeStrategies": [{nodes}]}}',
        "resource-qos-config": f'{{"clusterStrategy": {{}}, "nodeStrategies": [{nodes}]}}',
        "cpu-burst-config": '{"clusterStrategy": {"policy": "auto"}}',
    }


def fill(plane: ControlPlane, namespace: str, node_name: str, pods: int) -> None:
    """A Node with that many running pods."""
    plane.create("/api/v1/nodes", node(node_name))
    plane.patch(f"/api/v1/nodes/{node_name}/status", node_status(node_name, "2026-11-29T12:00:00Z"))
    path = f"/api/v1/namespaces/{namespace}/pods"
    for number in range(pods):
        plane.create(path, pod(node_name, number))
        plane.patch(f"{path}/service-{number}/status", pod_status(number))
