"""Limits of disks in a policy and in a pod's annotation."""

import pytest

from koordnri.policy import PolicyError
from tests.policy.documents import policy_with

QOS, BE = "resource-qos-config", "beClass"

IO = [
    ("readIOPS", "read_iops", 0),
    ("writeIOPS", "write_iops", 0),
    ("readBPS", "read_bps", 0),
    ("writeBPS", "write_bps", 0),
    ("ioWeightPercent", "io_weight_percent", 1),
    ("ioWeightPercent", "io_weight_percent", 100),
    ("readLatency", "read_latency", 0),
    ("writeLatency", "write_latency", 0),
    ("readLatencyPercent", "read_latency_percent", 100),
    ("writeLatencyPercent", "write_latency_percent", 100),
    ("modelReadBPS", "model_read_bps", 1),
    ("modelReadSeqIOPS", "model_read_seq_iops", 1),
    ("modelReadRandIOPS", "model_read_rand_iops", 1),
    ("modelWriteBPS", "model_write_bps", 1),
    ("modelWriteSeqIOPS", "model_write_seq_iops", 1),
    ("modelWriteRandIOPS", "model_write_rand_iops", 1),
]


@pytest.mark.parametrize(("json_name", "name", "bound"), IO)
def test_io_limit_range_ends_at_its_bound(json_name, name, bound):
    def blocks(value):
        return [{"name": "/dev/sdb", "type": "device", "ioCfg": {json_name: value}}]

    [block] = policy_with(QOS, f"{BE}.blkioQOS.blocks", blocks(bound)).qos.be.blkio.blocks
    assert getattr(block.io_cfg, name) == bound
    with pytest.raises(PolicyError) as refused:
        policy_with(QOS, f"{BE}.blkioQOS.blocks", blocks(bound + (1 if bound == 100 else -1)))
    assert [m.path for m in refused.value.mistakes] == [f"{QOS}.{BE}.blkioQOS.blocks[0].ioCfg.{json_name}"]
