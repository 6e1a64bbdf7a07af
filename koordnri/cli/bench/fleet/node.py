"""One node of the fleet: the daemon's watches and its annotation, stepped by the simulation."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from koordnri.cli.bench.fleet import costs
from koordnri.cli.bench.fleet.clock import Clock
from koordnri.cli.bench.fleet.costs import Kind
from koordnri.cli.bench.fleet.server import Server
from koordnri.kube import ConfigMapWatch, KubeError, NodeAnnotation, NodeWatch, PodWatch, PoolsWatch
from koordnri.kube.node_annotation import KEY
from koordnri.kube.steps import Request, Step, Wait
from koordnri.kube.watch import Watch

NAMESPACE, POLICY = "koordnri-system", "koordnri-policy"


class Quiet:
    """A log of nothing."""

    def debug(self, event: str, **keys: Any) -> None:
        """Nothing."""

    info = warning = error = debug

    def bind(self, **keys: Any) -> Quiet:
        """Itself."""
        return self


class Follower:
    """One watch of a node: does its steps against the server."""

    def __init__(
        self, clock: Clock, server: Server, kind: Kind, watch: Watch[Any], item: Callable[[], Mapping[str, Any]]
    ) -> None:
        self.kind = kind
        self.connected = False
        self._clock = clock
        self._server = server
        self._item = item
        self.stats = watch.stats
        self._steps = watch.rounds.steps()
        self._request: Request | None = None

    def start(self) -> None:
        """From now on it lists and watches."""
        self._do(next(self._steps))

    def _do(self, step: Step) -> None:
        if isinstance(step, Wait):
            self._clock.after(step.pause_s, self.ended)
        else:
            self._request = step
            self._server.get(self, step)

    def item(self, version: int) -> str:
        """Client."""
        item = self._item()
        metadata = {**item["metadata"], "resourceVersion": str(version)}
        return json.dumps({**item, "kind": self.kind.kind, "metadata": metadata})

    def opened(self) -> None:
        """Client."""
        assert self._request is not None
        self._request.opened()

    def fed(self, piece: bytes) -> None:
        """Client."""
        assert self._request is not None
        self._request.feed(piece)

    def ended(self) -> None:
        """Client."""
        self._do(next(self._steps))

    def failed(self, error: KubeError) -> None:
        """Client."""
        self._do(self._steps.throw(error))


class Patches:
    """The part of `koordnri.kube.api.Api` that a NodeAnnotation uses. Answers at once; `answered_s` says when it would have come."""

    generation = 0

    def __init__(self, server: Server, patched: Callable[[Mapping[str, str]], None]) -> None:
        self.answered_s = 0.0
        self._server = server
        self._patched = patched

    @contextmanager
    def open(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: bytes = b"{}", **_: Any
    ) -> Iterator[Patches]:
        """Raises KubeError."""
        self.answered_s = self._server.patch()
        self._patched(json.loads(body)["metadata"]["annotations"])
        yield self

    def read(self, **_: Any) -> bytes:
        """The body, which nobody reads."""
        return b"{}"

    def reload(self, generation: int) -> None:
        """There is nothing that expires."""


class Node:
    """It follows the policy from `start` on.

    revision    the policy's revision at this moment
    annotates   as `--annotate-node`
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        server: Server,
        uniform: Callable[[float, float], float],
        revision: Callable[[], str],
        annotates: bool,
    ) -> None:
        self.policy = ""
        self.seen_s: dict[str, float] = {}
        """revision → when this node had it"""
        self.published = ""
        self.kubelet_s = uniform(0.0, 300.0)
        """when kubelet reports the node's status for the first time"""
        self._clock = clock
        self._server = server
        self._metadata: dict[str, Any] = {"name": name, "uid": name}
        self._patches = Patches(server, self._patched)
        api: Any = self._patches
        log = Quiet()
        injected: dict[str, Any] = {"uniform": uniform, "clock": clock.read}
        configmap = ConfigMapWatch(api, NAMESPACE, POLICY, self._take_policy, log, **injected)
        node = NodeWatch(api, name, lambda facts: None, log, **injected)
        pools = PoolsWatch(api, name, lambda pools: None, log, **injected)
        pods = PodWatch(api, name, lambda facts: None, lambda uid: None, log, **injected)
        policy = {"metadata": {"name": POLICY}}
        self.configmap, self.node, self.pools, self.pods = self.followers = tuple(
            Follower(clock, server, kind, watch, item)
            for kind, watch, item in (
                (costs.CONFIGMAP, configmap.watch, lambda: {**policy, "data": {"revision": revision()}}),
                (costs.NODE, node.watch, lambda: {"metadata": self._metadata}),
                (costs.POOLS, pools.watch, lambda: {"metadata": {"name": name}}),
                (costs.PODS, pods.watch, lambda: {"metadata": {"name": "pod", "uid": "1"}, "spec": {"nodeName": name}}),
            )
        )
        self._annotation: NodeAnnotation | None = None
        if annotates:
            self._annotation = NodeAnnotation(
                api, name, lambda: node.published, log, self._died, now=clock.read, **injected
            )

    def start(self) -> None:
        """The daemon starts."""
        for follower in self.followers:
            follower.start()

    def _take_policy(self, data: Mapping[str, str] | None, version: str) -> None:
        revision = (data or {}).get("revision", "")
        self.seen_s.setdefault(revision, self._clock.now)
        if self._annotation is not None:
            self._annotation.want(revision)
            self._publish()

    def _publish(self) -> None:
        assert self._annotation is not None
        pause_s = self._annotation.step()
        if pause_s is not None:
            self._clock.at(max(self._clock.now + pause_s, self._patches.answered_s), self._publish)

    def _patched(self, annotations: Mapping[str, str]) -> None:
        self.published = annotations[KEY]
        self._metadata = {**self._metadata, "annotations": dict(annotations)}
        self._server.change(self.node)

    def _died(self, error: BaseException) -> None:
        raise error
