"""The policy that holds for a node."""

from koordnri.policy import DEFAULT_POLICY, resolve
from koordnri.policy.memory_qos import MemoryQOS
from tests.support.policies import policy_of


def test_a_disabled_class_keeps_its_values_and_says_that_it_is_disabled():
    found = policy_of({}, resource_qos_config={"lsClass": {"memoryQOS": {"enable": False, "minLimitPercent": 40}}})
    assert (found.qos.ls.memory.enable, found.qos.ls.memory.min_limit_percent) == (False, 40)


def test_enabling_a_class_gives_its_own_defaults():
    found = policy_of(
        {}, resource_qos_config={"beClass": {"memoryQOS": {"enable": True}, "resctrlQOS": {"enable": True}}}
    )
    assert found.qos.be.memory == MemoryQOS(enable=True, wmark_ratio=95, wmark_scale_permill=20, wmark_min_adj=50)
    assert found.qos.be.resctrl.cat_range_end_percent == 30
    assert found.qos.ls == DEFAULT_POLICY.qos.ls


def test_without_a_document_the_defaults_hold():
    assert resolve(None, "n1", {}) is DEFAULT_POLICY


def test_labels_of_qos_map_to_classes():
    qos = DEFAULT_POLICY.qos
    assert [qos.of(label) for label in ("LSE", "LSR", "LS", "BE", "SYSTEM", "", "ls")] == [
        qos.lsr, qos.lsr, qos.ls, qos.be, qos.system, None, None,
    ]  # fmt: skip
