"""What keys switch."""

import json
from itertools import chain, combinations

from koordnri.cli.demo.switches import ALL_ON, BATCH, EXCLUSIVE, IDLE, QUIT, SUPPRESS, SWITCHES, policy_of
from tests.policy.documents import policy_of_text

KEYS = [switch.key for switch in SWITCHES]


def resolved(*on: str):
    return policy_of_text(json.dumps({key: json.dumps(value) for key, value in policy_of(frozenset(on)).items()}))


def test_no_key_has_two_meanings() -> None:
    assert len({*KEYS, QUIT}) == len(KEYS) + 1
    assert frozenset(KEYS) >= ALL_ON


def test_each_switch_is_one_setting() -> None:
    nothing = resolved()
    assert nothing.hook_mode("cpuset") == "off"
    assert not nothing.qos.be.cpu.enable
    assert not nothing.threshold.enable
    assert resolved(EXCLUSIVE).hook_mode("cpuset") == "enforce"
    assert resolved(IDLE).qos.be.cpu.sched_idle == 1
    assert resolved(SUPPRESS).threshold.enable


def test_all_combinations_are_policies_and_batch_is_none_of_them() -> None:
    sets = chain.from_iterable(combinations(KEYS, n) for n in range(len(KEYS) + 1))
    for on in sets:
        assert resolved(*on).revision != "default"
        assert policy_of(frozenset(on)) == policy_of(frozenset(on) ^ {BATCH})
