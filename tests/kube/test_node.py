"""What of the Node is reported, and when nothing is."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.kube import Api, NodeFacts, NodeWatch
from tests.kube.fake_api import FakeApi, Json, Live, Seen, line, listing
from tests.kube.watched import IMPATIENT, running


def node(version: str, name: str = "n1", memory: object = "8Gi", **metadata: Any) -> Json:
    return {
        "kind": "Node",
        "metadata": {"name": name, "uid": "u-1", "resourceVersion": version, **metadata},
        "status": {"allocatable": {"memory": memory, "cpu": "4"}, "images": [{"names": ["x"] * 50}]},
    }


class TestNode:
    def test_facts_are_reported_and_heartbeats_are_not(self, fake: FakeApi, api: Api, log: Any) -> None:
        reported: Seen[NodeFacts | None] = Seen()
        live = Live()
        fake.script += [listing("Node", "10", node("9", labels={"zone": "a"})), live]
        noun = NodeWatch(api, "n1", reported.append, log, timing=IMPATIENT)
        with running(noun.watch):
            live.send(
                line("MODIFIED", node("11", labels={"zone": "a"})),
                line("MODIFIED", node("12", name="n2", labels={"zone": "z"})),
                line("MODIFIED", node("13", annotations={"k": "v"}, memory="4Gi")),
                line("DELETED", node("14")),
            )
            facts = reported.wait(3)
            live.end()
        assert facts == [
            NodeFacts({"zone": "a"}, {}, 8 << 30, "u-1"),
            NodeFacts({}, {"k": "v"}, 4 << 30, "u-1"),
            None,
        ]
        assert noun.facts is None
        assert fake.requests[0].path == "/api/v1/nodes"
        assert fake.requests[0].query["fieldSelector"] == "metadata.name=n1"

    def test_a_node_that_is_not_registered_yet_is_reported_as_none(self, fake: FakeApi, api: Api, log: Any) -> None:
        reported: Seen[NodeFacts | None] = Seen()
        fake.script += [listing("Node", "10")]
        with running(NodeWatch(api, "n1", reported.append, log, timing=IMPATIENT).watch):
            assert reported.wait(1) == [None]

    def test_our_own_annotation_is_no_fact_and_its_change_no_news(self, fake: FakeApi, api: Api, log: Any) -> None:
        reported: Seen[NodeFacts | None] = Seen()
        live = Live()
        ours = "koordnri.sh/policy"
        fake.script += [listing("Node", "10", node("9", annotations={ours: "aaaa@t", "k": "v"})), live]
        noun = NodeWatch(api, "n1", reported.append, log, timing=IMPATIENT)
        with running(noun.watch):
            assert reported.wait(1) == [NodeFacts({}, {"k": "v"}, 8 << 30, "u-1")]
            assert noun.published == "aaaa@t"
            live.send(
                line("MODIFIED", node("11", annotations={ours: "bbbb@t", "k": "v"})),
                line("MODIFIED", node("12", annotations={"k": "w"})),
            )
            assert reported.wait(2)[1:] == [NodeFacts({}, {"k": "w"}, 8 << 30, "u-1")]
            live.end()
        assert noun.published == ""

    def test_batch_and_mid_resources_are_kept_and_their_change_is_no_news(
        self, fake: FakeApi, api: Api, log: Any
    ) -> None:
        def offering(version: str, **metadata: Any) -> Json:
            found = node(version, **metadata)
            found["status"]["capacity"] = {"cpu": "4500m"}
            found["status"]["allocatable"] |= {
                "kubernetes.io/batch-cpu": version,
                "kubernetes.io/batch-memory": "1Gi",
                "kubernetes.io/mid-cpu": "3000",
                "kubernetes.io/mid-memory": "512Mi",
            }
            return found

        reported: Seen[NodeFacts | None] = Seen()
        live = Live()
        fake.script += [listing("Node", "10", offering("9000")), live]
        noun = NodeWatch(api, "n1", reported.append, log, timing=IMPATIENT)
        assert noun.amounts == (None, None, None, None, 0)
        with running(noun.watch):
            reported.wait(1)
            assert noun.amounts == (9000, 1 << 30, 3000, 1 << 29, 500)
            live.send(line("MODIFIED", offering("9500")), line("MODIFIED", node("9501", labels={"a": "b"})))
            reported.wait(2)
            live.end()
        assert noun.amounts == (None, None, None, None, 0)
        assert len(reported) == 2

    @pytest.mark.parametrize("memory", ["lots", "", "-1"])
    def test_a_memory_that_cannot_be_read_is_unknown(self, fake: FakeApi, api: Api, log: Any, memory: str) -> None:
        reported: Seen[NodeFacts | None] = Seen()
        fake.script += [listing("Node", "10", node("9", memory=memory))]
        with running(NodeWatch(api, "n1", reported.append, log, timing=IMPATIENT).watch):
            assert reported.wait(1) == [NodeFacts(uid="u-1")]

    @pytest.mark.parametrize(("quantity", "expected"), [("0", 0), ("-1", 0), ("2k", 2000), ("many", None), ("", None)])
    def test_an_amount_that_cannot_be_read_is_unknown_and_zero_is_none_of_it(
        self, fake: FakeApi, api: Api, log: Any, quantity: str, expected: int | None
    ) -> None:
        found = node("9")
        found["status"]["allocatable"]["kubernetes.io/mid-cpu"] = quantity
        reported: Seen[NodeFacts | None] = Seen()
        fake.script += [listing("Node", "10", found)]
        noun = NodeWatch(api, "n1", reported.append, log, timing=IMPATIENT)
        with running(noun.watch):
            reported.wait(1)
            assert noun.amounts == (None, None, expected, None, 0)
