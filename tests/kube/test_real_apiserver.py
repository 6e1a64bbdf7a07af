"""The watches and the Event sender against a real kube-apiserver and etcd: the normal way, restarts, RBAC, compaction.

What a real one does not do on demand is in the tests with the fake one.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import LogCapture

from koordnri.kube import (
    Api,
    ClaimReader,
    ConfigMapWatch,
    EventSender,
    NodeAnnotation,
    NodeFacts,
    NodeWatch,
    PodFacts,
    PodWatch,
    PoolsWatch,
    Restart,
    Timing,
    connect,
    node_target,
    pod_target,
)
from koordnri.kube.events import EventLimits
from koordnri.kube.node_annotation import KEY
from koordnri.kube.watch import Watch, wait
from koordnri.model.pod import ContainerSpec
from tests.kube.api_server import ADMIN, DAEMON, STRANGER, Json, RefusedError
from tests.kube.control_plane import ControlPlane
from tests.kube.fake_api import LIMIT_S, Seen
from tests.kube.rights import RBAC, Deployed
from tests.support.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.full]

QUICK = Timing(first_pause_s=0.05, longest_pause_s=0.2, resume_spread_s=0.2, relist_spread_s=0.1)
BRIEF = Timing(first_pause_s=0.05, longest_pause_s=0.2, watch_s=1)
"""The server ends such a watch after 1 to 2 seconds."""
PATIENCE_S = 120.0
"""for a whole restart of the server"""
AT_ONCE = EventLimits(burst=1000, per_s=1000, repeat_s=0, node_spread_s=0)
OLD, NEW, NEWER = {"policy": "old"}, {"policy": "new"}, {"policy": "newer"}
KEPT = "koordinator.sh/cpuQOS"
NODES = "/api/v1/nodes"
CRDS, CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "noderesourcetopologies.topology.node.k8s.io"
POOLS = "/apis/topology.node.k8s.io/v1alpha1/noderesourcetopologies"


class Gate:
    """A watch's `pause` that lasts until the test lets it end: what happens meanwhile happens while nobody watches."""

    def __init__(self) -> None:
        self.pauses: Seen[float] = Seen()
        self._open = threading.Event()
        self._open.set()

    def close(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    def __call__(self, stop: threading.Event, pause_s: float) -> None:
        self.pauses.append(pause_s)
        assert self._open.wait(PATIENCE_S)
        wait(stop, pause_s)


class Reported:
    """What the watches of one test reported, in order; they are stopped with it."""

    def __init__(self, api: Api, log: Any) -> None:
        self.api = api
        self.log = log
        self.data: Seen[dict[str, str] | None] = Seen()
        self.facts: Seen[NodeFacts | None] = Seen()
        self.pods: Seen[tuple[str, str]] = Seen()
        self.deaths: Seen[BaseException] = Seen()
        self._watches: list[Watch[Any]] = []

    def configmap(self, namespace: str, timing: Timing = QUICK, api: Api | None = None, **more: Any) -> Watch[Any]:
        def take(data: Any, version: str) -> None:
            self.data.append(None if data is None else dict(data))

        return self._started(
            ConfigMapWatch(api or self.api, namespace, "policy", take, self.log, **self._with(timing, more)).watch
        )

    def node(self, name: str, timing: Timing = QUICK, **more: Any) -> NodeWatch:
        noun = NodeWatch(self.api, name, self.facts.append, self.log, **self._with(timing, more))
        self._started(noun.watch)
        return noun

    def pods_of(self, node: str, timing: Timing = QUICK, **more: Any) -> PodWatch:
        def changed(facts: PodFacts) -> None:
            self.pods.append(("changed", facts.name))
            names[facts.uid] = facts.name

        def removed(uid: str) -> None:
            self.pods.append(("removed", names[uid]))

        names: dict[str, str] = {}
        noun = PodWatch(self.api, node, changed, removed, self.log, **self._with(timing, more))
        self._started(noun.watch)
        return noun

    def stop(self) -> None:
        for watch in self._watches:
            watch.stop(LIMIT_S)
            assert not watch.alive
        assert not self.deaths.items

    def _with(self, timing: Timing, more: dict[str, Any]) -> dict[str, Any]:
        return {"timing": timing, "on_death": self.deaths.append, **more}

    def _started(self, watch: Watch[Any]) -> Watch[Any]:
        self._watches.append(watch)
        watch.start()
        return watch


@pytest.fixture
def reported(real_api: Api, log: Any) -> Iterator[Reported]:
    it = Reported(real_api, log)
    yield it
    it.stop()


@pytest.fixture
def configmaps(namespace: str) -> str:
    """Path of the namespace's ConfigMaps."""
    return f"/api/v1/namespaces/{namespace}/configmaps"


@pytest.fixture
def node(plane: ControlPlane, namespace: str) -> Iterator[str]:
    """A Node of the test's own, with 8 GiB allocatable."""
    name = f"node-of-{namespace}"
    plane.create(NODES, {"metadata": {"name": name, "labels": {"zone": "a"}}})
    plane.patch(f"{NODES}/{name}/status", {"status": {"allocatable": {"memory": "8Gi", "cpu": "4"}}})
    yield name
    plane.delete(f"{NODES}/{name}")


def configmap(data: dict[str, str], name: str = "policy") -> Json:
    return {"metadata": {"name": name}, "data": data}


def pod(name: str, node: str = "", **spec: Any) -> Json:
    limits = {"kubernetes.io/batch-cpu": "500", "memory": "64Mi"}
    container = {"name": "main", "image": "x", "resources": {"requests": limits, "limits": limits}}
    placed = {"nodeName": node} if node else {}
    return {
        "metadata": {"name": name, "labels": {"app": "web"}, "annotations": {KEPT: "{}"}},
        "spec": {"containers": [container], **placed, **spec},
    }


def define_topologies(plane: ControlPlane) -> None:
    """The kind NodeResourceTopology, as Koordinator's chart installs it, with any content."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1alpha1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": "NodeResourceTopology", "plural": "noderesourcetopologies", "singular": "noderesourcetopology"}
    spec = {"group": "topology.node.k8s.io", "scope": "Cluster", "names": names, "versions": [version]}
    approved = {"api-approved.kubernetes.io": "https://github.com/kubernetes/enhancements/pull/1870"}
    manifest = {"metadata": {"name": CRD, "annotations": approved}, "spec": spec}
    plane.create(CRDS, {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", **manifest})
    eventually(lambda: answers(plane, POOLS), "the new kind served")


def undefine_topologies(plane: ControlPlane) -> None:
    plane.delete(f"{CRDS}/{CRD}")
    eventually(lambda: not answers(plane, POOLS), "the kind no longer served")


def answers(plane: ControlPlane, path: str) -> bool:
    try:
        plane.call("GET", path)
    except RefusedError:
        return False
    return True


def restarts(watch: Watch[Any]) -> dict[str, int]:
    return {reason: count for reason, count in watch.stats.restarts.items() if count}


# -- the normal way ---------------------------------------------------------------------------------------------------


def test_a_configmap_that_is_made_changed_deleted_and_made_again(
    plane: ControlPlane, configmaps: str, namespace: str, reported: Reported
) -> None:
    watch = reported.configmap(namespace)
    reported.data.wait(1)
    plane.create(configmaps, configmap(OLD))
    plane.create(configmaps, configmap({"not": "mine"}, "another"))
    plane.patch(f"{configmaps}/policy", {"metadata": {"labels": {"no": "data"}}})
    plane.patch(f"{configmaps}/policy", {"data": NEW})
    plane.delete(f"{configmaps}/policy")
    plane.create(configmaps, configmap(NEWER))

    reported.data.until(lambda items: NEWER in items)

    assert reported.data.items == [None, OLD, NEW, None, NEWER]
    assert (watch.stats.lists, watch.stats.problem, restarts(watch)) == (1, "", {})


def test_a_watch_that_the_server_ends_goes_on_where_it_was(
    plane: ControlPlane, configmaps: str, namespace: str, reported: Reported
) -> None:
    plane.create(configmaps, configmap(OLD))
    watch = reported.configmap(namespace, BRIEF)
    reported.data.wait(1)
    plane.patch(f"{configmaps}/policy", {"data": NEW})
    eventually(lambda: watch.stats.restarts[Restart.ENDED] >= 2, "two watches ended")
    plane.patch(f"{configmaps}/policy", {"data": NEWER})

    assert reported.data.wait(3) == [OLD, NEW, NEWER]
    assert watch.stats.lists == 1
    assert set(restarts(watch)) == {Restart.ENDED}


def test_a_bookmark_says_how_far_the_server_has_looked(
    plane: ControlPlane, configmaps: str, namespace: str, reported: Reported, tmp_path: Path
) -> None:
    mine = connect(plane.kubeconfig(tmp_path, DAEMON))
    allow(plane, namespace, "system:serviceaccount:koordnri-system:koordnri")
    # A bookmark comes two seconds before the server's own time limit.
    watch = reported.configmap(namespace, Timing(watch_s=4), mine, uniform=lambda low, high: low)
    reported.data.wait(1)
    seen = int(plane.create(configmaps, configmap({}, "another"))["metadata"]["resourceVersion"])
    eventually(lambda: watch.stats.restarts[Restart.ENDED] >= 1, "a watch ended")

    def resumed_from() -> int:
        asked = [request for request in plane.asked(DAEMON, "configmaps") if request["namespace"] == namespace]
        return int(asked[-1]["query"]["resourceVersion"])

    eventually(lambda: resumed_from() >= seen, f"resumed from {seen} or later")
    assert watch.stats.bookmarks >= 1
    assert watch.stats.events == 0


def test_facts_of_the_node_are_reported_and_heartbeats_are_not(
    plane: ControlPlane, node: str, reported: Reported
) -> None:
    noun = reported.node(node)
    (first,) = reported.facts.wait(1)
    ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-01T00:00:00Z"}
    plane.patch(f"{NODES}/{node}/status", {"status": {"conditions": [ready]}})
    plane.patch(f"{NODES}/{node}", {"metadata": {"labels": {"zone": "b"}, "annotations": {"note": "1"}}})
    second = reported.facts.wait(2)[1]
    plane.patch(f"{NODES}/{node}/status", {"status": {"allocatable": {"memory": "4Gi"}}})
    third = reported.facts.wait(3)[2]

    assert first is not None
    assert second is not None
    assert third is not None
    assert (first.labels["zone"], first.allocatable_memory_bytes) == ("a", 8 << 30)
    assert (second.labels["zone"], second.annotations, second.uid) == ("b", {"note": "1"}, first.uid)
    assert third.allocatable_memory_bytes == 4 << 30
    assert len(reported.facts) == 3
    assert noun.watch.stats.events == 3


def test_only_this_nodes_pods_are_reported(plane: ControlPlane, namespace: str, node: str, reported: Reported) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    plane.create(pods, pod("here-before", node))
    plane.create(pods, pod("elsewhere", f"not-{node}"))
    noun = reported.pods_of(node)
    reported.pods.wait(1)

    plane.create(pods, pod("elsewhere-too", f"not-{node}"))
    plane.create(pods, pod("unscheduled"))
    bound = {"metadata": {"name": "unscheduled"}, "target": {"kind": "Node", "name": node}}
    plane.create(f"{pods}/unscheduled/binding", bound)
    plane.patch(f"{pods}/here-before", {"metadata": {"annotations": {"not/kept": "1"}}})
    plane.patch(f"{pods}/here-before", {"metadata": {"annotations": {KEPT: '{"group": "a"}'}}})
    plane.delete(f"{pods}/elsewhere")
    plane.delete(f"{pods}/unscheduled")
    plane.create(pods, pod("last", node))

    reported.pods.until(lambda items: ("changed", "last") in items)
    assert reported.pods.items == [
        ("changed", "here-before"),
        ("changed", "unscheduled"),
        ("changed", "here-before"),
        ("changed", "unscheduled"),  # it leaves
        ("removed", "unscheduled"),
        ("changed", "last"),
    ]
    kept = {facts.name: facts for facts in noun.pods.values()}
    assert set(kept) == {"here-before", "last"}
    amounts = {"kubernetes.io/batch-cpu": "500", "memory": "64Mi"}
    spec = kept["here-before"].spec
    assert (spec.containers, spec.scheduler_name) == ({"main": ContainerSpec(amounts, amounts)}, "default-scheduler")
    assert kept["here-before"].annotations == {KEPT: '{"group": "a"}'}
    assert kept["here-before"].phase == "Pending"


# -- restart and compaction -------------------------------------------------------------------------------------------


@pytest.fixture
def restore(plane: ControlPlane) -> Iterator[None]:
    """An API server with its usual flags for the next test, whatever became of it in this one."""
    yield
    if plane.flags:
        plane.restart()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["ended", "killed"])
def test_a_restart_of_the_server_loses_nothing_and_repeats_nothing(
    plane: ControlPlane, configmaps: str, namespace: str, node: str, reported: Reported, number: signal.Signals
) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    plane.create(configmaps, configmap(OLD))
    for name in ("stays", "goes"):
        plane.create(pods, pod(name, node))
    gates = [Gate(), Gate(), Gate()]
    watches = [
        reported.configmap(namespace, pause=gates[0]),
        reported.node(node, pause=gates[1]).watch,
        reported.pods_of(node, pause=gates[2]).watch,
    ]
    reported.data.wait(1)
    reported.facts.wait(1)
    reported.pods.wait(2)

    for gate in gates:
        gate.close()
    plane.stop(number)
    for gate in gates:
        gate.pauses.wait(1)
    plane.start()
    plane.patch(f"{configmaps}/policy", {"data": NEW})
    plane.patch(f"{configmaps}/policy", {"data": NEWER})
    plane.delete(f"{pods}/goes")
    plane.create(pods, pod("comes", node))
    for gate in gates:
        gate.open()

    reported.data.until(lambda items: NEWER in items)
    reported.pods.until(lambda items: {("changed", "comes"), ("removed", "goes")} <= set(items))
    plane.patch(f"{configmaps}/policy", {"data": OLD})
    plane.patch(f"{NODES}/{node}", {"metadata": {"labels": {"zone": "b"}}})
    plane.patch(f"{pods}/stays", {"metadata": {"labels": {"app": "changed"}}})
    reported.data.until(lambda items: items[-1] == OLD and len(items) > 2)
    reported.facts.wait(2)
    reported.pods.until(lambda items: items[-1] == ("changed", "stays"))
    # A resumed watch shows the version in between, and the pod that leaves before it is gone; a new list does not.
    assert reported.data.items in ([OLD, NEW, NEWER, OLD], [OLD, NEWER, OLD])
    assert len(reported.facts) == 2
    before, since = reported.pods.items[:2], [item for item in reported.pods.items[2:] if item != ("changed", "goes")]
    away, after = since[:2], since[2:]
    assert sorted(before) == [("changed", "goes"), ("changed", "stays")]
    assert sorted(away) == [("changed", "comes"), ("removed", "goes")]
    assert after == [("changed", "stays")]
    eventually(lambda: all(watch.stats.problem == "" for watch in watches), "all watches well")


def test_a_restart_without_any_change_reports_nothing(
    plane: ControlPlane, configmaps: str, namespace: str, node: str, reported: Reported
) -> None:
    plane.create(configmaps, configmap(OLD))
    watches = [reported.configmap(namespace), reported.node(node).watch]
    reported.data.wait(1)
    reported.facts.wait(1)

    plane.restart()

    eventually(lambda: all(restarts(w) and not w.stats.problem for w in watches), "all watches restarted and well")
    plane.patch(f"{configmaps}/policy", {"data": NEW})
    plane.patch(f"{NODES}/{node}", {"metadata": {"labels": {"zone": "b"}}})
    assert reported.data.wait(2) == [OLD, NEW]
    assert len(reported.facts.wait(2)) == 2


# With its cache, the server knows by itself that it cannot serve that version; without, etcd refuses it.
@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ((), "too old resource version: "),
        (("--watch-cache=false",), "The resourceVersion for the provided watch is too old."),
    ],
    ids=["cache", "etcd"],
)
@pytest.mark.usefixtures("restore")
def test_a_version_that_was_compacted_away_is_410_and_the_objects_are_listed_again(
    plane: ControlPlane,
    configmaps: str,
    namespace: str,
    reported: Reported,
    captured: LogCapture,
    flags: tuple[str, ...],
    words: str,
) -> None:
    plane.create(configmaps, configmap(OLD))
    gate = Gate()
    watch = reported.configmap(namespace, pause=gate)
    reported.data.wait(1)

    for number in range(3):  # which its watch is not shown, so that its version falls behind
        plane.create(configmaps, configmap({}, f"another-{number}"))
    gate.close()
    plane.stop()
    gate.pauses.wait(1)
    plane.start(*flags)
    plane.delete(f"{configmaps}/policy")
    plane.compact()
    gate.open()

    assert reported.data.wait(2) == [OLD, None]
    plane.create(configmaps, configmap(NEW))
    assert reported.data.wait(3) == [OLD, None, NEW]
    assert watch.stats.restarts[Restart.EXPIRED] == 1
    assert watch.stats.lists == 2
    (error,) = [entry["error"] for entry in captured.entries if entry.get("reason") == "expired"]
    assert error.startswith(f"GET {configmaps}: the API server answered 410: {words}")


# -- RBAC and tokens --------------------------------------------------------------------------------------------------


def allow(plane: ControlPlane, namespace: str, user: str) -> None:
    """Let the user watch the ConfigMap `policy` of that namespace."""
    rule = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["policy"], "verbs": ["list", "watch"]}
    plane.create(f"{RBAC}/namespaces/{namespace}/roles", {"metadata": {"name": "reader"}, "rules": [rule]})
    bind(plane, namespace, user)


def bind(plane: ControlPlane, namespace: str, user: str) -> None:
    subject = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
    reader = {"kind": "Role", "name": "reader", "apiGroup": "rbac.authorization.k8s.io"}
    body = {"metadata": {"name": "reader"}, "subjects": [subject], "roleRef": reader}
    plane.create(f"{RBAC}/namespaces/{namespace}/rolebindings", body)


def test_a_user_who_may_not_is_shown_what_he_lacks_and_is_served_once_he_may(
    plane: ControlPlane, configmaps: str, namespace: str, reported: Reported, tmp_path: Path, captured: LogCapture
) -> None:
    plane.create(configmaps, configmap(OLD))
    watch = reported.configmap(namespace, api=connect(plane.kubeconfig(tmp_path, STRANGER)))
    eventually(lambda: watch.stats.restarts[Restart.FORBIDDEN] >= 3, "forbidden three times")
    refused = (
        f'GET {configmaps}: the API server answered 403: configmaps "policy" is forbidden: User "stranger" cannot list '
        f'resource "configmaps" in API group "" in the namespace "{namespace}"'
    )
    assert watch.stats.problem == refused
    assert not watch.synced
    assert not reported.data.items

    allow(plane, namespace, "stranger")

    assert reported.data.wait(1) == [OLD]
    eventually(lambda: watch.stats.problem == "", "the watch well")
    warnings = [e for e in captured.entries if e["event"] == "kube_watch_restarted" and e["log_level"] == "warning"]
    assert [entry["error"] for entry in warnings] == [refused]


def test_a_right_that_is_taken_away_keeps_what_is_known(
    plane: ControlPlane, configmaps: str, namespace: str, reported: Reported, tmp_path: Path
) -> None:
    plane.create(configmaps, configmap(OLD))
    allow(plane, namespace, "stranger")
    watch = reported.configmap(namespace, BRIEF, connect(plane.kubeconfig(tmp_path, STRANGER)))
    reported.data.wait(1)

    plane.delete(f"{RBAC}/namespaces/{namespace}/rolebindings/reader")
    eventually(lambda: watch.stats.restarts[Restart.FORBIDDEN] >= 2, "forbidden twice")
    plane.patch(f"{configmaps}/policy", {"data": NEW})
    assert reported.data.items == [OLD]
    bind(plane, namespace, "stranger")

    assert reported.data.wait(2) == [OLD, NEW]
    assert watch.stats.lists == 1


def test_a_token_that_the_server_does_not_know_is_read_again_until_it_does(
    plane: ControlPlane, configmaps: str, namespace: str, reported: Reported, tmp_path: Path
) -> None:
    plane.create(configmaps, configmap(OLD))
    watch = reported.configmap(namespace, api=connect(plane.kubeconfig(tmp_path, "expired")))
    eventually(lambda: watch.stats.restarts[Restart.UNAUTHORIZED] >= 2, "unauthorized twice")
    assert "the API server answered 401: Unauthorized" in watch.stats.problem

    (tmp_path / "token").write_text(ADMIN)

    assert reported.data.wait(1) == [OLD]


# -- Events -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def sender(real_api: Api, node: str, log: Any) -> Iterator[EventSender]:
    it = EventSender(real_api, node, log, limits=AT_ONCE, now=lambda: 1_700_000_000.0)
    it.start()
    yield it
    it.stop(LIMIT_S)


def events_on(plane: ControlPlane, namespace: str, name: str) -> list[Json]:
    query = f"fieldSelector=involvedObject.name={name}"
    items: list[Json] = plane.call("GET", f"/api/v1/namespaces/{namespace}/events?{query}")["items"]
    return items


def sent(sender: EventSender, count: int) -> None:
    eventually(lambda: sender.stats.sent >= count, f"{count} Events sent")


def test_an_event_on_a_pod_stands_beside_it_and_counts_up(
    plane: ControlPlane, namespace: str, node: str, sender: EventSender
) -> None:
    made = plane.create(f"/api/v1/namespaces/{namespace}/pods", pod("web", node))
    target = pod_target(namespace, "web", made["metadata"]["uid"])
    for number in range(3):
        sender.post(target, "AnnotationInvalid", f"message {number}")
        sent(sender, number + 1)

    (event,) = events_on(plane, namespace, "web")

    assert event["involvedObject"] == {
        "kind": "Pod",
        "namespace": namespace,
        "name": "web",
        "uid": made["metadata"]["uid"],
        "apiVersion": "v1",
    }
    fields = ("type", "reason", "message", "count", "source", "firstTimestamp", "lastTimestamp", "reportingComponent")
    assert {field: event[field] for field in fields} == {
        "type": "Warning",
        "reason": "AnnotationInvalid",
        "message": "message 2",
        "count": 3,
        "source": {"component": "koordnri", "host": node},
        "firstTimestamp": "2023-11-14T22:13:20Z",
        "lastTimestamp": "2023-11-14T22:13:20Z",
        "reportingComponent": "koordnri",
    }


def test_an_event_on_the_node_is_where_kubectl_describe_node_looks(
    plane: ControlPlane, node: str, sender: EventSender
) -> None:
    sender.post(node_target(node), "PolicyRefused", "configmap: not JSON")
    sent(sender, 1)

    (event,) = events_on(plane, "default", node)

    assert event["involvedObject"] == {"kind": "Node", "name": node, "uid": node, "apiVersion": "v1"}
    assert (event["type"], event["reason"], event["count"]) == ("Warning", "PolicyRefused", 1)


def test_an_event_that_somebody_deleted_is_made_again(plane: ControlPlane, node: str, sender: EventSender) -> None:
    sender.post(node_target(node), "PolicyRefused", "first")
    sent(sender, 1)
    (first,) = events_on(plane, "default", node)
    plane.delete(f"/api/v1/namespaces/default/events/{first['metadata']['name']}")

    sender.post(node_target(node), "PolicyRefused", "second")
    sent(sender, 2)

    (second,) = events_on(plane, "default", node)
    assert (second["message"], second["count"]) == ("second", 1)
    assert second["metadata"]["uid"] != first["metadata"]["uid"]


def test_an_event_beside_a_pod_whose_namespace_is_gone_is_given_up(sender: EventSender, captured: LogCapture) -> None:
    sender.post(pod_target("never-was", "web", "uid"), "AnnotationInvalid", "x")
    eventually(lambda: sender.stats.dropped == 1, "one Event dropped")
    (lost,) = [entry["error"] for entry in captured.entries if entry["event"] == "kube_event_lost"]
    assert 'the API server answered 404: namespaces "never-was" not found' in lost


# -- the Node's annotation --------------------------------------------------------------------------------------------


def test_the_node_has_the_policy_and_keeps_all_else(plane: ControlPlane, real_api: Api, node: str, log: Any) -> None:
    def annotations() -> dict[str, str]:
        found: dict[str, str] = plane.call("GET", f"{NODES}/{node}")["metadata"].get("annotations", {})
        return found

    before, deaths = annotations(), list[BaseException]()
    at_s = 1_700_000_000.0
    annotation = NodeAnnotation(
        real_api, node, lambda: annotations().get(KEY, ""), log, deaths.append, settle_s=0.0, now=lambda: at_s
    )
    annotation.want("aaaa")
    annotation.start()
    try:
        eventually(lambda: KEY in annotations(), "the annotation")
        assert annotations() == {**before, KEY: "aaaa@2023-11-14T22:13:20Z"}
        annotation.want("bbbb")
        eventually(lambda: annotations()[KEY].startswith("bbbb@"), "the next one")
    finally:
        annotation.stop(LIMIT_S)
    assert (annotation.problem, deaths) == ("", [])


# -- the rights that deploy/ gives ------------------------------------------------------------------------------------


def test_a_kind_that_is_not_installed_is_found_once_it_is_and_missed_when_it_is_gone(
    plane: ControlPlane, namespace: str, real_api: Api, log: Any
) -> None:
    if answers(plane, POOLS):
        undefine_topologies(plane)
    seen: Seen[object] = Seen()
    timing = Timing(first_pause_s=0.05, longest_pause_s=0.2, relist_spread_s=0.1, absent_s=0.2)
    watch = PoolsWatch(real_api, namespace, seen.append, log, timing=timing).watch
    watch.start()
    try:
        assert seen.wait(1) == [{}]
        assert restarts(watch).keys() == {Restart.ABSENT}
        # Objects of this kind: tests/kube/test_real_topology.py.
        define_topologies(plane)
        eventually(lambda: watch.stats.lists == 1, "one list")
        absent = watch.stats.restarts[Restart.ABSENT]
        undefine_topologies(plane)
        eventually(lambda: watch.stats.restarts[Restart.ABSENT] > absent, "absent once more")
        assert seen.items == [{}]
    finally:
        watch.stop(LIMIT_S)


def test_the_rights_of_deploy_are_enough_and_all_are_used(
    plane: ControlPlane, deployed: Deployed, namespace: str, node: str, log: Any, tmp_path: Path
) -> None:
    deployed.write_policy(OLD)
    plane.create(f"/api/v1/namespaces/{namespace}/pods", pod("web", node))
    if not answers(plane, POOLS):
        define_topologies(plane)
    api = connect(plane.kubeconfig(tmp_path, DAEMON))
    before = len(plane.asked(DAEMON))
    seen: Seen[object] = Seen()
    keywords = {"timing": QUICK}
    watches = [
        ConfigMapWatch(api, *deployed.policy, lambda *reported: seen.append(reported), log, **keywords).watch,
        NodeWatch(api, node, seen.append, log, **keywords).watch,
        PodWatch(api, node, seen.append, lambda uid: None, log, **keywords).watch,
        PoolsWatch(api, node, seen.append, log, **keywords).watch,
    ]
    sender = EventSender(api, node, log, limits=AT_ONCE)
    for start in (*(watch.start for watch in watches), sender.start):
        start()
    try:
        seen.wait(4)
        deployed.write_policy(NEW)
        seen.wait(5)
        for target in (node_target(node), pod_target(namespace, "web", "uid")):
            for _ in range(2):
                sender.post(target, "Reason", "message")
                sent(sender, sender.stats.posted)
        assert ClaimReader(api).cpus_by_driver(namespace, ["absent"]) == {}
    finally:
        for stop in (*(watch.stop for watch in watches), sender.stop):
            stop(LIMIT_S)

    assert not any(restarts(watch) for watch in watches)
    assert sender.stats.dropped == 0
    used = {(request["resource"], request["verb"]) for request in plane.asked(DAEMON)[before:]}
    rules = [rule for manifest in deployed.manifests for rule in manifest.get("rules", ())]
    granted = {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}
    # Asking for one object by its name is what people try by hand; it shows nothing that list does not.
    assert granted - {("configmaps", "get"), ("nodes", "get"), ("noderesourcetopologies", "get")} == used


DENIED: dict[str, Callable[[str, str], tuple[str, str]]] = {
    "another ConfigMap": lambda policy, node: ("GET", "/api/v1/namespaces/koordnri-system/configmaps/another"),
    "all ConfigMaps": lambda policy, node: ("GET", "/api/v1/namespaces/koordnri-system/configmaps"),
    "ConfigMaps elsewhere": lambda policy, node: ("GET", f"/api/v1/namespaces/default/configmaps/{policy}"),
    "change of the policy": lambda policy, node: ("PATCH", f"/api/v1/namespaces/koordnri-system/configmaps/{policy}"),
    "change of the Node": lambda policy, node: ("PATCH", f"{NODES}/{node}"),
    "Secrets": lambda policy, node: ("GET", "/api/v1/namespaces/koordnri-system/secrets"),
    "deletion of a pod": lambda policy, node: ("DELETE", "/api/v1/namespaces/default/pods/web"),
    "new pods": lambda policy, node: ("POST", "/api/v1/namespaces/koordnri-system/pods"),
    "ResourceClaims that are not named": lambda policy, node: ("GET", "/apis/resource.k8s.io/v1/resourceclaims"),
    "Namespaces, which only the component deploy/namespaces needs": lambda policy, node: ("GET", "/api/v1/namespaces"),
    "reading Events": lambda policy, node: ("GET", "/api/v1/namespaces/default/events"),
}


@pytest.mark.parametrize("request_of", DENIED.values(), ids=DENIED)
def test_what_deploy_does_not_grant(
    plane: ControlPlane, deployed: Deployed, node: str, request_of: Callable[[str, str], tuple[str, str]]
) -> None:
    method, path = request_of(deployed.policy[1], node)
    with pytest.raises(RefusedError, match="is forbidden") as refused:
        plane.call(method, path, None if method == "GET" else {}, token=DAEMON)
    assert refused.value.code == 403
