"""Use of cache and bandwidth, by class."""

from tests.resctrl.resctrl_node import BE_HALF, ResctrlNode, asks


def test_use_is_reported_by_class_with_the_pods_own_groups():
    node = ResctrlNode()
    node.set_policy(**BE_HALF)
    node.pod("p", "BE", asks([20, 80]))
    node.run_pass()

    def counts(group, occupancy, total, cache_id=0):
        node.kernel.groups[group].counters |= {
            (cache_id, "llc_occupancy"): str(occupancy),
            (cache_id, "mbm_total_bytes"): str(total),
        }

    counts("BE", 100, 1000)
    counts("BE", 7, 70, cache_id=1)
    counts("koordlet-uid-p", 50, 500)
    node.monitors.read()
    stats = node.groups.stats
    assert stats.occupancy_bytes == {("BE", 0): 150, ("BE", 1): 7}
    assert stats.traffic_bytes == {("BE", 0, "total"): 1500, ("BE", 1, "total"): 70}


def test_bandwidth_counts_never_fall_nor_count_twice():
    node = ResctrlNode()
    node.set_policy(**BE_HALF)
    node.pod("p", "BE", asks([20, 80]))
    node.run_pass()
    own = node.kernel.groups["koordlet-uid-p"].counters
    seen = []
    for value in ("100", "Unavailable", "130", "30"):  # the last: the group was made again
        own[0, "mbm_total_bytes"] = value
        node.monitors.read()
        seen.append(node.groups.stats.traffic_bytes.get(("BE", 0, "total")))
    node.kill("p")
    node.run_pass()
    node.monitors.read()
    seen.append(node.groups.stats.traffic_bytes["BE", 0, "total"])
    assert seen == [100, 100, 130, 160, 160]
