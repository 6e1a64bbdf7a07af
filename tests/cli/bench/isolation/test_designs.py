"""Each arm is what a user could write: a policy that is accepted, pods whose values the hooks decide as the arm says."""

from pathlib import Path

import pytest
from koordnri_hooks.blkio import BlockIO

from koordnri.cli.bench.command import DESIGNS
from koordnri.cli.bench.isolation.designs import designs
from koordnri.cli.bench.isolation.plan import ALONE, NONE, Arm
from koordnri.cli.bench.policy import write_policy
from koordnri.model import NodeState
from koordnri.policy import read_policy
from tests.hooks.one_hook import run_pod, values
from tests.support.pods import GUARANTEED, pod
from tests.support.policies import policy_of

ALL = designs(2, ("/dev/vda", "254:0"))
ARMS = [pytest.param(arm, id=f"{design.name}-{arm.name}") for design in ALL.values() for arm in design.arms]


def test_the_command_offers_every_design() -> None:
    assert tuple(ALL) == DESIGNS


@pytest.mark.parametrize("name", ALL)
def test_a_design_compares_with_the_service_alone_and_without_koordnri(name: str) -> None:
    arms = ALL[name].arms
    assert [arm.name for arm in arms][:2] == [ALONE, NONE]
    assert len({arm.name for arm in arms}) == len(arms)
    assert not arms[0].service.proof
    assert arms[0].batch is None
    assert all(arm.means for arm in arms[1:])


@pytest.mark.parametrize("arm", ARMS)
def test_its_policy_is_accepted_without_a_warning(arm: Arm, tmp_path: Path) -> None:
    write_policy(tmp_path / "policy.json", arm.policy)
    assert list(read_policy(tmp_path / "policy.json").warnings) == []


@pytest.mark.parametrize("arm", [arm for arm in ARMS if arm.values[0].name not in (ALONE, NONE, "shares 2")])  # type: ignore[attr-defined]
def test_an_arm_that_changes_something_has_a_proof_of_it(arm: Arm) -> None:
    pods = [pod for pod in (arm.service, arm.batch) if pod is not None]
    assert arm.settle_s or any(pod.proof or pod.class_proof or pod.class_quota for pod in pods)


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_that_settles_has_no_batch_work_whose_figures_would_include_that_time(arm: Arm) -> None:
    assert not arm.settle_s or arm.batch is None


def test_the_latency_target_is_the_services_and_batch_beside_it_has_none() -> None:
    (arm,) = (arm for arm in ALL["D5"].arms if arm.needs_file)
    node = NodeState(block_devices={"/dev/vda": "254:0"}, cgroup_files=frozenset({arm.needs_file}))
    service = pod("", GUARANTEED, arm.service.annotations, arm.service.labels)
    decided = run_pod(BlockIO(), service, node, policy_of(**arm.policy))
    assert values(decided) == arm.service.proof == {"io.latency[/dev/vda]": "target=1000"}
    assert arm.batch == ALL["D5"].arms[1].batch
