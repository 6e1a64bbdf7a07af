"""What of a ConfigMap, the Node and its pods is reported, and when nothing is."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest
from structlog.testing import LogCapture

from koordnri.kube import Api, ApiRefused, Garbled, KubeError, PodFacts, PodWatch, Unreachable
from koordnri.kube.pods import PodObject, facts_of, is_kept
from koordnri.model.pod import ContainerSpec, PodSpec
from tests.kube.fake_api import FakeApi, Json, Live, Seen, bookmark, line, listing, status
from tests.kube.watched import IMPATIENT, running


def pod(version: str, uid: str = "p-1", **fields: Any) -> Json:
    """As an API server has it, so far as it matters: `metadata` and `spec` are laid over what every pod here has."""
    metadata = {"name": uid, "namespace": "ns", "uid": uid, "resourceVersion": version, **fields.pop("metadata", {})}
    spec = {
        "nodeName": "n1",
        "schedulerName": "koord-scheduler",
        "serviceAccountName": "runner",
        "priority": 9500,
        "containers": [{"name": "main", "image": "x", "resources": {"requests": {"cpu": "500m"}}}],
        "volumes": [{"name": "v", "emptyDir": {}}],
        **fields.pop("spec", {}),
    }
    return {"kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": "Running", **fields}}


class Claims:
    """Reads claims: first what a test says, then 3 CPUs of dra.cpu."""

    def __init__(self, *answers: dict[str, int] | KubeError) -> None:
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        self._answers = list(answers)

    def __call__(self, namespace: str, names: Sequence[str]) -> Mapping[str, int]:
        self.asked.append((namespace, tuple(names)))
        answer = self._answers.pop(0) if self._answers else {"dra.cpu": 3}
        if isinstance(answer, KubeError):
            raise answer
        return answer


class Pods:
    """A pod watch under test; `calls` is what it reported, in order."""

    def __init__(self, fake: FakeApi, api: Api, log: Any, *listed: Json, read_claims: Claims | None = None) -> None:
        self.live = Live()
        self.calls: Seen[tuple[str, str]] = Seen()
        fake.script += [listing("Pod", "10", *listed), self.live]
        self.noun = PodWatch(api, "n1", self._changed, self._removed, log, read_claims, timing=IMPATIENT)

    def _changed(self, facts: PodFacts) -> None:
        # Whoever is informed looks into `specs`, so it must be there by then.
        assert self.noun.specs[facts.key] is facts.spec
        assert self.noun.pods[facts.key] is facts
        assert self.noun.of(facts.uid, facts.namespace, facts.name) is facts
        self.calls.append(("changed", facts.uid))

    def _removed(self, uid: str) -> None:
        assert uid not in self.noun.specs
        assert uid not in {facts.uid for facts in self.noun.pods.values()}
        self.calls.append(("removed", uid))

    def after(self, *lines: bytes) -> list[tuple[str, str]]:
        """What was reported about these lines."""
        before = len(self.calls)
        self.live.send(*lines, line("ADDED", pod("900", "last")))
        reported = self.calls.until(lambda items: ("changed", "last") in items[before:])
        return reported[before:-1]


class TestPods:
    def test_what_is_kept_of_a_pod(self, fake: FakeApi, api: Api, log: Any) -> None:
        listed = pod(
            "9",
            metadata={
                "labels": {"koordinator.sh/qosClass": "BE", "app": "x"},
                "annotations": {
                    "koordinator.sh/cpuQOS": "{}",
                    "node.koordinator.sh/extended-resource-spec": "{}",
                    "kubectl.kubernetes.io/last-applied-configuration": "{}" * 1000,
                },
            },
            spec={
                "initContainers": [{"name": "init", "resources": {"limits": {"memory": "1Gi"}}}],
                "containers": [
                    {
                        "name": "main",
                        "resources": {"requests": {"cpu": "1"}, "limits": {"kubernetes.io/batch-cpu": 500}},
                    },
                    {"name": "bare"},
                ],
            },
        )
        pods = Pods(fake, api, log, listed)
        with running(pods.noun.watch):
            pods.calls.wait(1)
            kept = pods.noun.pods["p-1"]
            pods.live.end()
        assert kept == PodFacts(
            uid="p-1",
            namespace="ns",
            name="p-1",
            labels={"koordinator.sh/qosClass": "BE", "app": "x"},
            annotations={"koordinator.sh/cpuQOS": "{}", "node.koordinator.sh/extended-resource-spec": "{}"},
            spec=PodSpec(
                {
                    "init": ContainerSpec({}, {"memory": "1Gi"}, init=True),
                    "main": ContainerSpec({"cpu": "1"}, {"kubernetes.io/batch-cpu": 500}),
                    "bare": ContainerSpec({}, {}),
                },
                scheduler_name="koord-scheduler",
                service_account="runner",
                priority=9500,
            ),
            phase="Running",
        )
        assert fake.requests[0].path == "/api/v1/pods"
        assert fake.requests[0].query["fieldSelector"] == "spec.nodeName=n1"

    def test_of_volumes_only_those_behind_claims_are_kept_by_their_paths(
        self, fake: FakeApi, api: Api, log: Any
    ) -> None:
        mounts = [{"name": name, "mountPath": f"/{name}/", "subPath": "x"} for name in ("data", "own", "config")]
        devices = [{"name": "raw", "devicePath": "/dev/xvda"}]
        volumes = [
            {"name": "data", "persistentVolumeClaim": {"claimName": "data-0", "readOnly": True}},
            {"name": "raw", "persistentVolumeClaim": {"claimName": "raw-0"}},
            {"name": "own", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
            {"name": "config", "configMap": {"name": "c"}},
        ]
        containers: list[Json] = [{"name": "main", "volumeMounts": mounts, "volumeDevices": devices}]
        containers += [{"name": "side", "volumeMounts": mounts[2:], "volumeDevices": None}]
        init = [{"name": "init", "volumeMounts": [{"name": "data", "mountPath": "seed"}]}]
        spec = {"containers": containers, "initContainers": init, "volumes": volumes}
        pods = Pods(fake, api, log, pod("9", spec=spec), pod("9", "none", spec={"volumes": None}))
        with running(pods.noun.watch):
            pods.calls.wait(2)
            kept = pods.noun.specs["p-1"].containers
            pods.live.end()
        assert {name: its.claimed for name, its in kept.items()} == {
            "init": {"/seed": "data"},
            "main": {"/data": "data", "/own": "own", "/dev/xvda": "raw"},
            "side": {},
        }

    @pytest.mark.parametrize(
        ("more", "kept"),
        [
            ({"spec": {"resourceClaims": [{"name": "cpus", "resourceClaimTemplateName": "t"}]}}, True),
            ({"status": {"extendedResourceClaimStatus": {"resourceClaimName": "made", "requestMappings": []}}}, True),
            ({"spec": {"resourceClaims": []}, "status": {"extendedResourceClaimStatus": None}}, False),
            ({"spec": {"resourceClaims": None}}, False),
            ({}, False),
        ],
    )
    def test_of_resource_claims_it_is_kept_that_there_are_any(
        self, fake: FakeApi, api: Api, log: Any, more: Json, kept: bool
    ) -> None:
        pods = Pods(fake, api, log, {**pod("9"), **more, "spec": {**pod("9")["spec"], **more.get("spec", {})}})
        with running(pods.noun.watch):
            pods.calls.wait(1)
            assert pods.noun.specs["p-1"].resource_claims is kept
            pods.live.end()

    def test_what_a_pods_claims_were_given_is_read_once_it_is_known_which_they_are(
        self, fake: FakeApi, api: Api, log: Any
    ) -> None:
        of_template: Json = {
            "resourceClaims": [
                {"name": "cpus", "resourceClaimTemplateName": "t"},
                {"name": "net", "resourceClaimName": "n"},
            ]
        }
        reader = Claims()
        pods = Pods(
            fake, api, log, pod("9", spec={"resourceClaims": of_template["resourceClaims"][:1]}), read_claims=reader
        )
        with running(pods.noun.watch):
            pods.calls.wait(1)
            assert pods.noun.specs["p-1"].claimed_cpus is None
            statuses = {"resourceClaimStatuses": [{"name": "cpus", "resourceClaimName": "web-cpus-x"}]}
            made = {"extendedResourceClaimStatus": {"resourceClaimName": "made"}}
            versions = ("10", "11")
            pods.after(*(line("MODIFIED", pod(v, spec=of_template, **statuses, **made, phase=v)) for v in versions))
            assert pods.noun.specs["p-1"].claimed_cpus == {"dra.cpu": 3}
            pods.live.end()
        assert reader.asked == [("ns", ("n", "web-cpus-x", "made"))]

    @pytest.mark.parametrize(
        ("error", "problem"),
        [
            (ApiRefused("GET /c", 403, "forbidden"), "GET /c: the API server answered 403: forbidden"),
            (Garbled("GET /c: no claim"), "GET /c: no claim"),
            (Unreachable("GET /c: no answer"), ""),
        ],
        ids=["refused", "garbled", "unreachable"],
    )
    def test_claims_that_cannot_be_read_are_read_again_when_the_pod_changes(
        self, fake: FakeApi, api: Api, log: Any, captured: LogCapture, error: KubeError, problem: str
    ) -> None:
        reader = Claims(error, error, {})
        spec: Json = {"resourceClaims": [{"name": "net", "resourceClaimName": "n"}]}
        pods = Pods(fake, api, log, pod("9", spec=spec), read_claims=reader)
        with running(pods.noun.watch):
            pods.calls.wait(1)
            kept = pods.noun.specs["p-1"]
            assert (kept.resource_claims, kept.claimed_cpus, kept.claims_problem) == (True, None, problem)
            pods.after(*(line("MODIFIED", pod(version, spec=spec, phase=version)) for version in ("10", "11", "12")))
            assert pods.noun.specs["p-1"].claimed_cpus == {"dra.cpu": 3}, "not allocated is read again, too"
            pods.live.end()
        assert [e["error"] for e in captured.entries if e["event"] == "kube_claims_not_read"] == [problem]

    @pytest.mark.parametrize(
        ("spec", "requests", "limits", "overhead"),
        [
            ({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": 3}}}, {"cpu": "2"}, {"cpu": 3}, {}),
            ({"overhead": {"memory": "120Mi", "cpu": "250m"}}, {}, {}, {"memory": "120Mi", "cpu": "250m"}),
            ({"resources": None, "overhead": None}, {}, {}, {}),
            ({}, {}, {}, {}),
        ],
        ids=["of the pod", "overhead", "null", "neither"],
    )
    def test_resources_of_the_pod_as_a_whole_are_kept(
        self, fake: FakeApi, api: Api, log: Any, spec: Json, requests: Json, limits: Json, overhead: Json
    ) -> None:
        pods = Pods(fake, api, log, pod("9", spec=spec))
        with running(pods.noun.watch):
            pods.calls.wait(1)
            kept = pods.noun.specs["p-1"]
            pods.live.end()
        assert (kept.requests, kept.limits, kept.overhead) == (requests, limits, overhead)

    @pytest.mark.parametrize(
        ("lines", "reported"),
        [
            ([line("MODIFIED", pod("11", podIP="10.0.0.1"))], []),
            ([line("MODIFIED", pod("11", metadata={"annotations": {"other/x": "1"}}))], []),
            ([bookmark("Pod", "11")], []),
            ([line("MODIFIED", pod("11", metadata={"labels": {"a": "b"}}))], [("changed", "p-1")]),
            ([line("MODIFIED", pod("11", metadata={"annotations": {"koordinator.sh/x": "1"}}))], [("changed", "p-1")]),
            ([line("MODIFIED", pod("11", spec={"priority": 1}))], [("changed", "p-1")]),
            ([line("MODIFIED", pod("11", spec={"containers": []}))], [("changed", "p-1")]),
            ([line("ADDED", pod("11", "p-2"))], [("changed", "p-2")]),
            ([line("ADDED", pod("11", "p-2", spec={"nodeName": "n2"}))], []),
            ([line("DELETED", pod("11"))], [("removed", "p-1")]),
            ([line("DELETED", pod("11", "unknown"))], []),
        ],
        ids=[
            "status",
            "others' annotation",
            "bookmark",
            "label",
            "annotation",
            "priority",
            "resize",
            "new",
            "another node's",
            "gone",
            "unknown gone",
        ],
    )
    def test_what_is_reported(
        self, fake: FakeApi, api: Api, log: Any, lines: list[bytes], reported: list[tuple[str, str]]
    ) -> None:
        pods = Pods(fake, api, log, pod("9"))
        with running(pods.noun.watch):
            pods.calls.wait(1)
            assert pods.after(*lines) == reported
            pods.live.end()

    def test_a_list_after_a_gap_reports_only_the_differences(self, fake: FakeApi, api: Api, log: Any) -> None:
        pods = Pods(fake, api, log, pod("7", "same"), pod("8", "gone"), pod("9", "changed"))
        fake.script += [
            status(410, "too old"),
            listing("Pod", "20", pod("7", "same"), pod("19", "changed", spec={"priority": 1}), pod("18", "new")),
        ]
        with running(pods.noun.watch):
            pods.calls.wait(3)
            pods.live.end()
            reported = pods.calls.wait(6)[3:]
        assert reported == [("removed", "gone"), ("changed", "changed"), ("changed", "new")]
        assert pods.noun.specs.keys() == {"same", "changed", "new"}

    def test_a_static_pod_is_known_by_the_uid_that_the_runtime_reports(self, fake: FakeApi, api: Api, log: Any) -> None:
        mirror = pod("9", "mirror", metadata={"annotations": {"kubernetes.io/config.mirror": "hash"}})
        pods = Pods(fake, api, log, mirror)
        with running(pods.noun.watch):
            pods.calls.wait(1)
            assert pods.noun.of("hash", "ns", "mirror") is not None
            assert pods.noun.of("hash", "ns", "other") is None
            assert pods.after(line("DELETED", mirror)) == [("removed", "hash")]
            pods.live.end()

    @pytest.mark.parametrize("first", ["victim", "impostor"])
    @pytest.mark.parametrize("static", [False, True], ids=["pod", "static pod"])
    @pytest.mark.parametrize("kind", ["MODIFIED", "DELETED"])
    def test_nobody_can_speak_for_anothers_pod(
        self, fake: FakeApi, api: Api, log: Any, first: str, static: bool, kind: str
    ) -> None:
        claim: Json = {"annotations": {"kubernetes.io/config.mirror": "victim"}}
        victim = pod("8", "victim", metadata=claim if static else {})
        impostor = pod("9", "impostor", metadata={**claim, "labels": {"koordinator.sh/qosClass": "LSE"}})
        listed = [victim, impostor] if first == "victim" else [impostor, victim]
        pods = Pods(fake, api, log, *listed)
        with running(pods.noun.watch):
            pods.after(line(kind, impostor))
            kept = pods.noun.of("victim", "ns", "victim")
            assert kept is not None
            assert (kept.name, kept.labels) == ("victim", {})
            pods.live.end()

    def test_a_static_pod_whose_mirror_is_made_again_stays_known(self, fake: FakeApi, api: Api, log: Any) -> None:
        claim = {"annotations": {"kubernetes.io/config.mirror": "hash"}, "name": "static"}
        pods = Pods(fake, api, log, pod("9", "first", metadata=claim))
        with running(pods.noun.watch):
            again = pod("11", "second", metadata=claim, podIP="1.1.1.1")
            pods.after(line("ADDED", again), line("DELETED", pod("12", "first", metadata=claim)))
            assert pods.noun.of("hash", "ns", "static") is not None
            pods.live.end()

    def test_a_pod_that_is_listed_without_its_claim_is_forgotten_with_it(
        self, fake: FakeApi, api: Api, log: Any
    ) -> None:
        claim = {"annotations": {"kubernetes.io/config.mirror": "hash"}}
        pods = Pods(fake, api, log, pod("9", "p-1", metadata=claim))
        fake.script += [status(410, "too old"), listing("Pod", "20", pod("19", "p-1"))]
        with running(pods.noun.watch):
            pods.calls.wait(1)
            pods.live.end()
            assert pods.calls.wait(3)[1:] == [("removed", "hash"), ("changed", "p-1")]

    @pytest.mark.parametrize(
        ("owners", "expected"),
        [
            (None, False),
            ([{"kind": "DaemonSet", "name": "d", "controller": True}], True),
            ([{"kind": "ReplicaSet", "name": "r", "controller": True}, {"kind": "DaemonSet", "name": "d"}], False),
        ],
    )
    def test_a_pod_that_its_node_gets_again_is_known(
        self, fake: FakeApi, api: Api, log: Any, owners: Any, expected: bool
    ) -> None:
        pods = Pods(fake, api, log, pod("9", metadata={"ownerReferences": owners}))
        with running(pods.noun.watch):
            pods.calls.wait(1)
            pods.live.end()
        assert pods.noun.specs["p-1"].of_daemon_set is expected

    def test_a_pod_that_was_deleted_is_leaving_until_kubelet_has_ended_it(
        self, fake: FakeApi, api: Api, log: Any
    ) -> None:
        pods = Pods(fake, api, log, pod("9"))
        with running(pods.noun.watch):
            pods.calls.wait(1)
            assert not pods.noun.specs["p-1"].leaving
            pods.live.send(line("MODIFIED", pod("11", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})))
            pods.calls.wait(2)
            assert pods.noun.specs["p-1"].leaving
            pods.live.end()

    def test_the_annotations_as_they_are_now(self) -> None:
        facts = PodFacts("u", "ns", "n", {}, {"koordinator.sh/a": "new"}, PodSpec({}), "")
        reported = {"koordinator.sh/a": "old", "koordinator.sh/removed": "x", "other/b": "kept"}
        assert facts.annotations_over(reported) == {"koordinator.sh/a": "new", "other/b": "kept"}
        assert reported["koordinator.sh/a"] == "old"


@pytest.mark.parametrize(
    ("key", "kept"),
    [
        ("koordinator.sh/cpuQOS", True),
        ("node.koordinator.sh/resctrl", True),
        ("koordnri.io/baseline", True),
        ("evilkoordinator.sh/x", False),
        ("koordinator.sh.example.com/x", False),
        ("koordinator.sh", True),
        ("", False),
        ("kubectl.kubernetes.io/last-applied-configuration", False),
    ],
)
def test_which_annotations_are_kept(key: str, kept: bool) -> None:
    assert is_kept(key) is kept


MOUNTS = {
    "containers": [
        {
            "name": "main",
            "resources": {"limits": {"cpu": "1", "kubernetes.io/batch-cpu": "500", "a.b/c": "1"}},
            "volumeMounts": [{"name": "v", "mountPath": f"/{i}{chr(0x1F600)}{'x' * 250}"} for i in range(4000)],
        }
    ],
    "volumes": [{"name": "v", "persistentVolumeClaim": {}}],
}


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"containers": [{"name": f"c{i}"} for i in range(19_000)]}, id="containers"),
        pytest.param({"initContainers": [{"name": f"c{i}"} for i in range(19_000)]}, id="init-containers"),
        pytest.param(MOUNTS, id="mounts"),
        pytest.param(
            {"containers": [{"name": "m", "resources": {"limits": {f"a.b/{i}{'x' * 60}": "1" for i in range(9000)}}}]},
            id="resources",
        ),
        pytest.param({"resourceClaims": [{"resourceClaimName": f"{i}{'x' * 240}"} for i in range(5000)]}, id="claims"),
    ],
)
def test_a_pod_takes_little_memory_whatever_its_spec_has(spec: Json) -> None:
    text, decode = json.dumps(pod("9", spec=spec)).encode(), msgspec.json.Decoder(PodObject).decode
    facts_of(decode(text))
    tracemalloc.start()
    try:
        facts = facts_of(decode(text))
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept_bytes < 600_000
    assert facts.uid == "p-1"


def test_what_limits_a_container_is_kept_of_any_pod() -> None:
    facts = facts_of(msgspec.json.decode(json.dumps(pod("9", spec=MOUNTS)), type=PodObject))
    assert facts.spec.containers["main"] == ContainerSpec({}, {"cpu": "1", "kubernetes.io/batch-cpu": "500"})


def test_250_pods_are_kept_small(fake: FakeApi, api: Api, log: Any) -> None:
    """Measured on what is kept, by its JSON: the rest of each pod must not hang on to it."""
    noise = {"annotations": {"big": "x" * 20_000, "koordinator.sh/a": "b"}}
    pods = Pods(fake, api, log, *(pod("9", f"p-{n}", metadata=noise) for n in range(250)))
    with running(pods.noun.watch):
        pods.calls.wait(250)
        kept: list[Mapping[str, str]] = [facts.annotations for facts in pods.noun.pods.values()]
        pods.live.end()
    assert len(json.dumps(kept)) < 250 * 100
