"""The decision log: what is counted, what is logged at which level, who hears of it."""

import tracemalloc
from dataclasses import replace
from typing import Any

import pytest

from koordnri.model import Container, Decision, Event, Pod, fields
from koordnri.model.decision import HookError, Setting
from koordnri.model.resources import NOTHING
from koordnri.model.verdict import Outcome, Verdict
from koordnri.observe.decisions import MOST_REMEMBERED, DecisionLog
from koordnri.state.entry import Entry

POD = Pod("p1", "uid-1", "shop", "web")
CONTAINER = Container("c1", "app", "p1", NOTHING)


class Silent:
    """A logger that keeps nothing."""

    def warning(self, event: str, **keys: Any) -> None: ...


class Heard:
    """A logger that keeps its calls."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def debug(self, event: str, **keys: Any) -> None:
        self.lines.append(("debug", event, keys))

    def warning(self, event: str, **keys: Any) -> None:
        self.lines.append(("warning", event, keys))


def decision() -> Decision:
    settings = {
        "cpu.quota": Setting(fields.CPU_QUOTA, "", -1, "cfs_quota", "pinned", "adjust"),
        "env[A]": Setting(fields.ENV, "A", "1", "gpu", "assigned", "adjust"),
        "env[B]": Setting(fields.ENV, "B", "2", "gpu", "assigned", "adjust"),
    }
    error = HookError("memory", "annotation x: expected a number", "pod")
    return Decision(settings, skipped={"rdt": "the node has no resctrl"}, errors=(error,))


def test_fields_are_counted_by_hook_name_and_route_never_by_key() -> None:
    log = DecisionLog(Heard())
    log.decided(POD, CONTAINER, Event.CREATE, decision())
    log.decided(POD, CONTAINER, Event.CREATE, decision())
    assert log.fields == {("cfs_quota", "cpu.quota", "adjust"): 2, ("gpu", "env", "adjust"): 4}


def judged(*outcomes: Outcome) -> Pod:
    verdicts = tuple(Verdict("resourceStatus", "annotation a", outcome, f"why {outcome}") for outcome in outcomes)
    return Pod("p1", "uid-1", "shop", "web", verdicts=verdicts)


def test_what_is_not_believed_is_reported_once_per_pod_and_counted_by_rule() -> None:
    heard, events = Heard(), []
    log = DecisionLog(heard, warn_pod=lambda pod, reason, message: events.append((pod.name, reason, message)))
    for _ in range(2):
        log.decided(judged("believed", "refused", "unknown", "observed"), CONTAINER, Event.CREATE, Decision())
        log.decided_again(judged("refused"), "", Decision())
    assert [(level, event, keys["outcome"]) for level, event, keys in heard.lines] == [
        ("warning", "not_entitled", "refused"),
        ("warning", "not_entitled", "unknown"),
        ("warning", "not_entitled", "observed"),
    ]
    assert events == [("web", "NotEntitled", "annotation a not believed: why refused")], "the others may be no mistake"
    assert log.verdicts == {("resourceStatus", outcome): 1 for outcome in ("refused", "unknown", "observed")}


def test_a_container_that_never_started_is_a_warning_with_what_it_was_sent() -> None:
    heard, entry = Heard(), Entry("c1", "app", "p1", NOTHING)
    entry.sent = {"cpu.quota": (-1, "adjust")}
    DecisionLog(heard).never_started(POD, entry)
    DecisionLog(heard).never_started(None, entry)
    assert heard.lines == [
        ("warning", "container_never_started", {"pod": pod, "container": "app", "id": "c1", "sent": ["cpu.quota"]})
        for pod in ("shop/web", "p1")
    ]


def test_an_error_is_a_warning_that_names_pod_container_hook_and_fault() -> None:
    heard = Heard()
    DecisionLog(heard).decided(POD, CONTAINER, Event.UPDATE, decision())
    assert heard.lines == [
        (
            "warning",
            "hook_failed",
            {
                "pod": "shop/web",
                "container": "app",
                "op": "update",
                "hook": "memory",
                "fault": "pod",
                "error": "annotation x: expected a number",
            },
        )
    ]


def test_at_debug_the_whole_decision_is_logged() -> None:
    heard = Heard()
    DecisionLog(heard, debug=True).decided(POD, CONTAINER, Event.CREATE, decision())
    [(level, event, keys)] = [line for line in heard.lines if line[0] == "debug"]
    assert (level, event) == ("debug", "decided")
    assert keys["fields"] == {
        "cpu.quota": "-1 (cfs_quota: pinned)",
        "env[A]": "1 (gpu: assigned)",
        "env[B]": "2 (gpu: assigned)",
    }
    assert keys["skipped"] == {"rdt": "the node has no resctrl"}


@pytest.mark.parametrize("debug", [False, True])
def test_the_listener_hears_of_every_decision(debug: bool) -> None:
    reported: list[tuple[Pod, Container, Event, Decision]] = []
    log = DecisionLog(Heard(), debug, lambda *all_of_it: reported.append(all_of_it))
    made = decision()
    log.decided(POD, CONTAINER, Event.SYNC, made)
    log.decided(POD, CONTAINER, Event.SYNC, Decision())
    assert reported[0] == (POD, CONTAINER, Event.SYNC, made)
    assert len(reported) == 2


def failed(message: str) -> Decision:
    return Decision(errors=(HookError("memory", message, "pod"),))


def test_what_an_event_complained_of_the_reconciler_does_not_report_again() -> None:
    heard = Heard()
    log = DecisionLog(heard)
    log.decided(POD, CONTAINER, Event.CREATE, failed("x"))
    log.decided_again(POD, CONTAINER.name, failed("x"))
    assert len(heard.lines) == 1
    log.decided_again(POD, CONTAINER.name, failed("y"))
    assert [keys["error"] for _, _, keys in heard.lines] == ["x", "y"]


def test_complaints_are_not_remembered_without_end() -> None:
    heard = Heard()
    log = DecisionLog(heard)
    for i in range(MOST_REMEMBERED + 1):
        log.decided(POD, CONTAINER, Event.CREATE, failed(f"x{i}"))
    heard.lines.clear()
    log.decided_again(POD, CONTAINER.name, failed(f"x{MOST_REMEMBERED}"))
    assert heard.lines == []
    log.decided_again(POD, CONTAINER.name, failed("x0"))
    assert [keys["error"] for _, _, keys in heard.lines] == ["x0"]


def test_the_pods_owner_is_informed_in_words_that_hold_whether_all_or_a_part_was_lost() -> None:
    reported: list[tuple[str, str, str]] = []
    log = DecisionLog(Heard(), warn_pod=lambda pod, reason, message: reported.append((pod.name, reason, message)))
    log.decided(POD, CONTAINER, Event.CREATE, decision())
    text = "container app: hook memory decided nothing by what is wrong here: annotation x: expected a number"
    assert reported == [("web", "InvalidQoSAnnotation", text)]


def test_what_a_pod_says_to_nobody_is_reported_once_to_its_owner_and_only_logged_of_programs() -> None:
    heard, events = Heard(), []
    log = DecisionLog(heard, warn_pod=lambda pod, reason, message: events.append((pod.name, reason, message)))
    labels = {"koordinator.sh/qosClass": "lsr"}
    status = {"scheduling.koordinator.sh/resource-status": '{"newer": 1}'}
    for _ in range(2):  # the pod is reported again, and has not been read yet
        pod = replace(POD, labels=labels, annotations=status, parsed={})
        log.decided_again(pod, "", Decision())
        log.decided_again(pod, CONTAINER.name, Decision())
    assert [event for _, event, _ in heard.lines] == ["pod_remark", "pod_remark"]
    [(name, reason, message)] = events
    assert (name, reason) == (POD.name, "QoSSettingIgnored")
    assert "did you mean LSR?" in message


def test_of_a_flood_of_containers_that_never_started_a_few_a_second_are_logged() -> None:
    heard, now = Heard(), [0.0]
    log = DecisionLog(heard, monotonic=lambda: now[0])
    entry = Entry("c1", "app", "p1", NOTHING)
    for _ in range(100):
        log.never_started(POD, entry)
    assert len(heard.lines) == 5
    now[0] += 1.0
    log.never_started(POD, entry)
    assert len(heard.lines) == 6


def test_an_error_of_a_class_is_logged_once_and_reported_by_the_node_where_a_pods_owner_wrote_it() -> None:
    heard, reported = Heard(), list[tuple[str, str]]()
    log = DecisionLog(heard, warn_node=lambda reason, message: reported.append((reason, message)))
    of_node = HookError("blkio", "no such disk", "node")
    for _ in range(2):
        log.class_decided_again("BestEffort", failed("x").with_errors(of_node))
    assert [(line[2]["kube_class"], line[2]["hook"], line[2]["error"]) for line in heard.lines] == [
        ("BestEffort", "memory", "x"),
        ("BestEffort", "blkio", "no such disk"),
    ]
    text = "cgroup BestEffort: hook memory decided nothing by what is wrong here: x"
    assert reported == [("InvalidQoSAnnotation", text)]


def test_what_pods_owners_write_is_not_kept() -> None:
    """A pod whose annotation is wrong in another way each second must not grow the daemon."""
    log, count = DecisionLog(Silent()), 500
    messages = [f"{n}{chr(0x1F600) * 1000}" for n in range(count)]
    tracemalloc.start()
    try:
        for message in messages:
            log.decided_again(POD, "", Decision(errors=(HookError("memory", message + "!", "pod"),)))
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept_bytes < 200 * count
