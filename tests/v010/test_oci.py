"""Resources as the OCI runtime specification writes them."""

from koordnri.v010 import oci
from koordnri.wire import api_pb2 as api


def test_nothing_asked_is_an_empty_object() -> None:
    assert oci.resources(api.LinuxResources()) == {}


def test_all_kinds_of_resources() -> None:
    message = api.LinuxResources(unified={"memory.high": "1"})
    message.cpu.shares.value, message.cpu.quota.value, message.cpu.cpus = 512, -1, "0-1"
    message.cpu.realtime_runtime.SetInParent()
    message.memory.limit.value, message.memory.kernel_tcp.value = 1 << 30, 5
    message.memory.disable_oom_killer.SetInParent()
    message.pids.limit = 7
    message.hugepage_limits.add(page_size="2MB", limit=4)
    rule = message.devices.add(allow=True, type="c", access="rw")
    rule.major.value = 1
    message.devices.add(allow=False)
    assert oci.resources(message) == {
        "cpu": {"shares": 512, "quota": -1, "realtimeRuntime": 0, "cpus": "0-1"},
        "memory": {"limit": 1 << 30, "kernelTCP": 5, "disableOOMKiller": False},
        "pids": {"limit": 7},
        "hugepageLimits": [{"pageSize": "2MB", "limit": 4}],
        "devices": [{"allow": True, "type": "c", "major": 1, "access": "rw"}, {"allow": False}],
        "unified": {"memory.high": "1"},
    }
