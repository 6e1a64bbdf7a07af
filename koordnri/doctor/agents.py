"""Other programs that write what koordnri writes."""

from __future__ import annotations

AGENTS = {
    "koordlet": "CPU sets, quotas, memory protection, resctrl and block I/O of the same pods, by the same annotations",
    "koord-runtime-proxy": "the runtime's requests, by Koordinator's hooks",
    "katalyst-agent": "CPU sets, memory and resctrl of containers",
    "rubik": "CPU time, memory, disk and cache limits of pods",
    "crane-agent": "CPU sets and quotas of pods",
    "vc-agent": "CPU time and memory protection of pods (Volcano)",
    "volcano-agent": "CPU time and memory protection of pods (Volcano)",
    "nri-resource-policy-topology-aware": "CPU sets of all containers",
    "nri-resource-policy-balloons": "CPU sets of all containers",
    "nri-memory-qos": "memory.high and swap of containers",
    "cri-resmgr": "CPU sets, resctrl and block I/O classes of containers",
}
"""The program's name → what it writes"""
