"""The builders of manifests: what a test states is what the commands read."""

from __future__ import annotations

from koordnri.kubelet import PodManifest
from koordnri.kubelet.qos import kube_qos
from koordnri.model import KubeQoS
from koordnri.policy.reader import read
from koordnri.policy.report import Report
from tests.support.manifests import Manifest, manifest, owner_manifest


def parsed(one: Manifest) -> PodManifest:
    report = Report()
    found: PodManifest = read(PodManifest, one, report)
    assert report.mistakes == []
    return found


def test_nothing_stated_is_a_pod_of_one_container_without_requests():
    one = parsed(manifest())
    assert (one.metadata.name, one.metadata.labels, [c.name for c in one.spec.containers]) == ("p", {}, ["main"])
    assert kube_qos(one.spec) is KubeQoS.BESTEFFORT


def test_what_is_stated():
    one = parsed(manifest("web", "BE", namespace="shop", labels={"a": "b"}, limits={"cpu": "1"}, nodeName="n"))
    assert one.metadata.labels == {"koordinator.sh/qosClass": "BE", "a": "b"}
    assert (one.metadata.namespace, one.spec.containers[0].resources.limits) == ("shop", {"cpu": "1"})
    assert parsed(manifest(containers=[{"name": "a"}, {"name": "b"}])).spec.containers[1].name == "b"


def test_an_owner_is_guaranteed():
    assert kube_qos(parsed(owner_manifest("web", "2")).spec) is KubeQoS.GUARANTEED
