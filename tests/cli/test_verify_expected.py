"""What `koordnri verify` expects, by the policy in force and the node of a running daemon."""

from __future__ import annotations

from pathlib import Path

import pytest

from koordnri.answers.policy_document import policy_document
from koordnri.cli.verify_expected import Expected, expect
from koordnri.cli.verify_pods import SAMPLES, Placement, manifest
from koordnri.model import UNLIMITED
from koordnri.model.fields import CPU_QUOTA, CPU_SHARES, MEMORY_LIMIT
from koordnri.policy import load_policy
from tests.cli.test_explain_live import Node, served

__all__ = ["served"]  # a fixture

LIMIT = 64 << 20
PLACE = Placement("run", "tests", "n", "image", 120)


def expected(directory: Path) -> list[Expected]:
    return expect([(sample, manifest(sample, PLACE)) for sample in SAMPLES], directory).of


def under(node: Node, policy: str) -> None:
    node.policy = policy_document(load_policy(policy, "file"))


def test_each_class_has_its_values_under_the_defaults(tmp_path: Path, served: Node) -> None:
    under(served, "{}")
    lsr, ls, be, plain = expected(tmp_path)
    assert (lsr.values, lsr.exclusive) == ({CPU_QUOTA: UNLIMITED, MEMORY_LIMIT: LIMIT}, 1)
    assert ls.values == {CPU_SHARES: 102, CPU_QUOTA: 40_000, MEMORY_LIMIT: LIMIT}
    assert be.values == {CPU_SHARES: 2, CPU_QUOTA: 20_000, MEMORY_LIMIT: LIMIT}
    assert plain.values == {CPU_SHARES: 51, CPU_QUOTA: 20_000, MEMORY_LIMIT: LIMIT}
    assert [one.exclusive for one in (ls, be, plain)] == [0, 0, 0]
    assert [one.why_shared for one in (lsr, ls, be, plain)] == ["", "", "", ""]


def test_the_policy_in_force_counts(tmp_path: Path, served: Node) -> None:
    # The fixture's policy counts this node's CPUs double.
    assert expected(tmp_path)[1].values[CPU_QUOTA] == 20_000


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("allocate: false", "the policy has koordnri-config.hooks.cpuset.allocate: false"),
        ("mode: 'off'", "the policy has koordnri-config.hooks.cpuset.mode: off"),
        ("minSharedCPUs: 4", "1 exclusive CPU"),
    ],
)
def test_where_none_are_given_lsr_shares_cpus_and_says_why(tmp_path: Path, served: Node, option: str, why: str) -> None:
    under(served, f"koordnri-config: {{clusterStrategy: {{hooks: {{cpuset: {{{option}}}}}}}}}\n")
    lsr = expected(tmp_path)[0]
    assert lsr.exclusive == 0
    assert why in lsr.why_shared


def test_without_the_hook_of_batch_resources_kubelets_values_are_expected(tmp_path: Path, served: Node) -> None:
    under(served, "koordnri-config: {clusterStrategy: {hooks: {cfs_quota: {mode: 'off'}}}}\n")
    be = expected(tmp_path)[2]
    assert CPU_QUOTA not in be.values
    assert be.values[CPU_SHARES] == 2
