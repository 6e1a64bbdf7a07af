"""The hook `injection` as a whole: what is on, and what a mistake costs."""

from __future__ import annotations

import pytest
from koordnri_hooks.injection.hook import KINDS, InjectionHook

from koordnri.model import Event, NodeState, fields, injection
from koordnri.policy import DEFAULT_POLICY
from tests.hooks.injection.one_injection import EVERYBODY, decide, shown
from tests.hooks.one_hook import context, faults, run
from tests.support.pods import pod
from tests.support.policies import policy_of

DEVICES, MOUNTS = injection.DEVICES.keys[0], injection.MOUNTS.keys[0]
ULIMITS = f"{injection.ULIMITS.keys[1]}/container.main"
GOOD = {
    DEVICES: [{"path": "/dev/a", "type": "c", "major": 1, "minor": 3}],
    MOUNTS: [{"source": "/srv", "destination": "/srv"}],
    ULIMITS: [{"type": "core", "soft": 0, "hard": 0}],
}


def test_every_kind_has_a_file_and_every_file_a_kind() -> None:
    assert {kind.injection for kind in KINDS} | {injection.OCI_HOOKS} == set(injection.ALL)


def test_without_a_listed_kind_the_hook_has_no_work() -> None:
    assert not InjectionHook().has_work(DEFAULT_POLICY)
    assert InjectionHook().has_work(EVERYBODY)


def test_kinds_are_switched_one_by_one() -> None:
    only = policy_of(koordnri_config={"trust": {"injection": {"mounts": {"namespaces": ["shop"]}}}})
    assert list(run(InjectionHook(), context(pod(annotations=GOOD), policy=only)).settings) == ["injected.mount[/srv]"]


@pytest.mark.parametrize("bad", GOOD)
def test_a_mistake_costs_one_kind(bad: str) -> None:
    whole, decision = decide(GOOD), decide({**GOOD, bad: "[{"})
    assert len(whole.settings) == 3
    assert len(decision.settings) == 2
    ((fault, message),) = faults(decision)
    assert (fault, message.startswith(f"annotation {bad}: broken")) == ("pod", True)


def test_a_mistake_in_one_of_several_entries_costs_the_kind() -> None:
    decision = decide({**GOOD, DEVICES: [*GOOD[DEVICES], {"path": "x"}]})
    assert set(shown(decision)) == {"injected.mount[/srv]", "rlimit[RLIMIT_CORE]"}


def test_a_mistake_costs_no_other_kind_that_gives_the_same_sort_of_thing() -> None:
    writable = injection.WRITABLE_CGROUPS.keys[0]
    decision = decide({**GOOD, writable: "true"}, node=NodeState(cgroup_nsdelegate=False))
    assert set(shown(decision)) == {"injected.device[/dev/a]", "injected.mount[/srv]", "rlimit[RLIMIT_CORE]"}
    assert [fault for fault, _ in faults(decision)] == ["node"]


def test_long_yaml_is_refused_and_long_json_is_read() -> None:
    devices = [{"path": f"/dev/{i}", "type": "c", "major": 1, "minor": 3} for i in range(100)]
    assert len(decide({DEVICES: devices}).settings) == 100
    yaml = "".join(f"- path: /dev/{i}\n  type: c\n  major: 1\n  minor: 3\n" for i in range(100))
    ((_, message),) = faults(decide({DEVICES: yaml}))
    assert "expected JSON, or YAML of at most 2048 characters" in message


def test_a_running_container_gets_nothing_and_no_error() -> None:
    decision = decide(GOOD, event=Event.UPDATE)
    assert (decision.settings, decision.errors) == ({}, ())
    assert "restart the pod" in decision.skipped["rlimit[RLIMIT_CORE]"]


def test_what_the_runtime_would_drop_is_an_error_of_the_node_and_costs_only_itself() -> None:
    old = NodeState(not_sent={fields.RLIMIT: "containerd 1.7.2 has NRI 0.3.0, and rlimit needs 0.4.0"})
    decision = decide(GOOD, node=old)
    assert set(decision.settings) == {"injected.device[/dev/a]", "injected.mount[/srv]"}
    ((fault, message),) = faults(decision)
    assert (fault, message.endswith("rlimit needs 0.4.0")) == ("node", True)
