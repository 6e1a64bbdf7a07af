"""What counts as expected: each value of the kernel against each expectation, and whose CPUs a container runs on."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.cli.verify_expected import Expected
from koordnri.cli.verify_judge import Found, expected_text, found_text, judge
from koordnri.cli.verify_pods import SAMPLES
from koordnri.model import CPUSet
from koordnri.model.cpuset import NO_CPUS
from koordnri.model.fields import CPU_CPUS, CPU_QUOTA, CPU_SHARES, MEMORY_LIMIT

LSR, _, BE, PLAIN = SAMPLES
MIB = 1 << 20


def field(kernel: Any, agrees: bool | None = None, value: Any = None, route: str = "reply") -> dict[str, Any]:
    return {"value": value, "kernel": kernel, "agrees": agrees, "route": route, "reason": "because"}


def shape(**change: Any) -> Any:
    """The parts of the daemon's answer that count, of a plain pod."""
    container = {
        "name": "main",
        "fields": {"cpu.cpus": field("0-1", True, "0-1") | {"effective": "0-1"}},
        "observed": {},
        "untouched": {"cpu.shares": field(51), "cpu.quota": field(20_000), "memory.limit": field(64 * MIB)},
    }
    return {
        "pod": {"qos": "", "kubeQoS": "Burstable", "fields": {}},
        "containers": [container],
        "cpus": {"exclusive": {}, "lacking": {}},
        "leftAlone": "",
        "errors": [],
        **change,
    }


ASKED = Expected(PLAIN, {CPU_SHARES: 51, CPU_QUOTA: 20_000, MEMORY_LIMIT: 64 * MIB}, 0, "")
OWNER = Expected(LSR, {CPU_QUOTA: 20_000}, 1, "")


def problems(expected: Expected, answer: Any, taken: CPUSet = NO_CPUS) -> tuple[str, ...]:
    return judge(expected, answer, 2, taken).problems


def owning(own: str, runs_on: str, lacking: str = "") -> Any:
    answer = shape(cpus={"exclusive": {"main": own} if own else {}, "lacking": {"main": lacking} if lacking else {}})
    answer["pod"]["qos"] = "LSR"
    answer["containers"][0]["fields"]["cpu.cpus"]["effective"] = runs_on
    return answer


def test_all_as_expected_is_no_problem() -> None:
    found = judge(ASKED, shape(), 2, NO_CPUS)
    assert found.problems == ()
    assert found.values == {CPU_CPUS: "0-1", CPU_SHARES: 51, CPU_QUOTA: 20_000, MEMORY_LIMIT: 64 * MIB}


def test_shares_are_compared_as_the_weight_that_they_become() -> None:
    answer = shape()
    answer["containers"][0]["untouched"]["cpu.shares"]["kernel"] = 52  # weight 2, as of 51
    assert problems(ASKED, answer) == ()


@pytest.mark.parametrize(
    ("name", "kernel", "problem"),
    [
        ("cpu.quota", -1, "cpu.quota: expected 20000, found -1 (unlimited)"),
        ("cpu.shares", 1024, "cpu.shares: expected 51, found 1024"),
        ("memory.limit", 32 * MIB, "memory.limit: expected 67108864 (64 MiB), found 33554432 (32 MiB)"),
        ("memory.limit", None, "memory.limit: expected 67108864 (64 MiB), found nothing that can be read"),
    ],
)
def test_another_value_of_the_kernel_is_a_problem(name: str, kernel: Any, problem: str) -> None:
    answer = shape()
    answer["containers"][0]["untouched"][name]["kernel"] = kernel
    assert problems(ASKED, answer) == (problem,)


def test_so_is_a_decided_field_that_its_pod_has_otherwise() -> None:
    answer = shape()
    answer["pod"]["fields"] = {"cpu.quota": field(10_000, False, -1)}
    assert problems(ASKED, answer) == ("its pod's cpu.quota: decided -1, found 10000",)


def test_so_are_cpus_that_are_not_the_decided_ones() -> None:
    answer = shape()
    answer["containers"][0]["fields"]["cpu.cpus"] = field("0-3", False, "0-1")
    assert problems(ASKED, answer) == ("cpu.cpus: decided 0-1, found 0-3",)


def controlled(kernel: int, *, agrees: bool) -> Any:
    """CPU suppress by cfsQuota lifts the quota of a container."""
    answer = shape()
    del answer["containers"][0]["untouched"]["cpu.quota"]
    answer["containers"][0]["fields"]["cpu.quota"] = field(kernel, agrees, -1, "control")
    return answer


def test_what_a_controller_wants_for_now_is_right_if_the_kernel_has_it() -> None:
    found = judge(ASKED, controlled(-1, agrees=True), 2, NO_CPUS)
    assert (found.problems, found.notes) == ((), ("cpu.quota by a controller: because",))
    assert "cpu.quota -1 (unlimited), memory.limit" in found_text(found)
    assert found_text(found).endswith("; cpu.quota by a controller: because")


def test_and_wrong_if_the_kernel_has_not() -> None:
    assert problems(ASKED, controlled(20_000, agrees=False)) == ("cpu.quota: decided -1, found 20000",)


def test_exclusive_cpus_are_those_that_it_runs_on() -> None:
    assert problems(OWNER, owning("3", "3")) == ()
    assert problems(OWNER, owning("3", "2-3")) == ("it runs on CPUs 2-3, and its exclusive ones are 3",)


def test_too_few_exclusive_cpus_have_the_daemons_reason() -> None:
    assert problems(OWNER, owning("", "0-3", "none is free")) == ("expected 1 exclusive CPU, got none: none is free",)


def test_all_but_besteffort_stay_off_the_owners_cpus() -> None:
    assert problems(ASKED, shape(), CPUSet({1, 2})) == ("it runs on exclusive CPUs of the LSR pod: 1",)
    besteffort = shape(pod={"qos": "BE", "kubeQoS": "BestEffort", "fields": {}})
    assert problems(Expected(BE, {}, 0, ""), besteffort, CPUSet({1, 2})) == ()


def test_a_changed_class_an_error_and_a_pod_left_alone_are_problems() -> None:
    error = {"hook": "cpuset", "message": "annotation x: bad"}
    answer = shape(leftAlone="its pod was released", errors=[error])
    answer["pod"]["qos"] = "LS"
    assert problems(ASKED, answer) == (
        "its pod was released",
        'expected QoS class "", koordnri reads "LS": an admission webhook changed the pod',
        "cpuset: annotation x: bad",
    )


def test_a_pod_without_its_container_is_one() -> None:
    assert problems(ASKED, shape(containers=[])) == ("koordnri has not seen its container",)


def test_texts_name_values_cpus_and_problems() -> None:
    assert expected_text(OWNER) == "1 exclusive CPU, cpu.quota 20000"
    assert expected_text(Expected(LSR, {}, 0, "none is free")) == "shared CPUs (none is free)"
    assert found_text(Found({CPU_CPUS: "1"}, ("bad",))) == "cpu.cpus 1; bad"
