"""Which pods were released, and the sentence about them."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from koordnri.model import NodeState, Pod
from koordnri.state.ledger import Ledger
from koordnri.state.released import UNTIL, released_pods, released_text

MANY = tuple(f"p{i:02}" for i in range(12))


def ledger(names: Iterable[str]) -> Ledger:
    it = Ledger()
    for name in names:
        it.remember_pod(Pod(name, f"uid-{name}", "shop", name))
    return it


@pytest.mark.parametrize(
    ("there", "released", "names", "text"),
    [
        ("ab", "", "", ""),
        ("ba", "ab", "ab", f"shop/a, shop/b are left to kubelet {UNTIL}"),
        ("ab", "a", "a", f"shop/a is left to kubelet {UNTIL}"),
        ("b", "a", "", ""),
        ("ab", "*", "ab", f"all pods of this node, and those that come, are left to kubelet {UNTIL}"),
        ("", "*", "", f"all pods of this node, and those that come, are left to kubelet {UNTIL}"),
        (MANY, MANY, MANY, f"{', '.join(f'shop/{n}' for n in MANY[:10])} and 2 more are left to kubelet {UNTIL}"),
    ],
)
def test_released(there: Iterable[str], released: Iterable[str], names: Iterable[str], text: str) -> None:
    its, node = ledger(there), NodeState(released=frozenset(released))
    assert [pod.name for pod in released_pods(its, node)] == list(names)
    assert released_text(its, node) == text
