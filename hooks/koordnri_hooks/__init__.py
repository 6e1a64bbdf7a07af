"""koordnri's QoS hooks, one file each. A file's docstring specifies the feature.

Belongs here: what a container should get, as pure functions of a context. Does not belong here: I/O, clocks, locks, logs, or any
import of koordnri but `koordnri.model`. They are found through the entry-point group `koordnri.hooks`, as a third party's are.

    10 cpuset     cpu.cpus, cpu.mems
    20 cfs_quota  cpu.quota, cpu.period, cpu.shares, cpu.burst; cpu.bvt_warp_ns of pods and classes, cpu.idle of BE pods
    30 memory     memory.limit, memory.min, memory.low, memory.high, memory.oom.group, oom_score_adj; watermarks, priorities and page
                  cache of vendors' kernels; of containers, pods and classes
    40 rdt        rdt.closid
    50 blkio      io.max, io.weight, io.latency, v1's throttle files, blockio.class; io.cost of the root
    60 gpu        env, mount, device, cdi
    70 injection  what the annotations of NRI's sample plugins ask for; a folder, with one file per kind

Other files are no hooks: each holds one thing that one or two hooks need.
"""
