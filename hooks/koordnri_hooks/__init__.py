"""The QoS hooks of koordnri, one file each; a file's docstring is the feature's specification.

Belongs here: what a container should get, as pure functions of a context. Does not belong here: I/O, clocks, locks, logs, or any
import of koordnri but `koordnri.model`. They are found through the entry-point group `koordnri.hooks`, as a third party's are.

    10 cpuset     cpu.cpus, cpu.mems
    20 cfs_quota  cpu.quota, cpu.period, cpu.shares, cpu.burst
    30 memory     memory.limit, memory.min, memory.low, memory.high
    40 rdt        rdt.closid
    50 blkio      io.max, io.weight, blockio.class
    60 gpu        env, mount, device

`assigned` and `batch` are no hooks: each reads one thing of a pod that two hooks need.
"""
