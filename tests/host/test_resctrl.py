"""resctrl from fake trees: Intel, AMD, cdp, L2, MB alone, MB/s, sparse cache ids, nonsense."""

from pathlib import Path

import pytest

from koordnri.host import read_node
from koordnri.model.node import Resctrl
from koordnri.model.schemata import AMD_UNITS, MBPS, PERCENT, Cache, MemoryBandwidth
from tests.host.trees import HostTree

L3 = {"L3/cbm_mask": "7ff\n", "L3/num_closids": "16\n"}
NO_GROUPS: frozenset[str] = frozenset()
INTEL_MB = {"MB/num_closids": "8\n", "MB/bandwidth_gran": "10\n", "MB/min_bandwidth": "10\n", "MB/delay_linear": "1\n"}
AMD_MB = {"MB/num_closids": "16\n", "MB/bandwidth_gran": "1\n", "MB/min_bandwidth": "0\n", "MB/delay_linear": "0\n"}


def offered(
    vendor: str, mask: int, closids: int, ids: tuple[int, ...], *caches: Cache, bandwidth: MemoryBandwidth | None = None
) -> Resctrl:
    return Resctrl(vendor, mask, closids, ids, NO_GROUPS, caches, bandwidth)


@pytest.mark.parametrize(
    ("schemata", "info", "vendor", "expected"),
    [
        pytest.param(
            "    MB:0=100;1=100\n    L3:0=7ff;1=7ff\n",
            {**L3, **INTEL_MB, "L3/min_cbm_bits": "2\n", "L3/shareable_bits": "600\n"},
            "GenuineIntel",
            offered(
                "intel", 0x7FF, 8, (0, 1), Cache("L3", 0x7FF, (0, 1), 2), bandwidth=MemoryBandwidth((0, 1), PERCENT)
            ),
            id="intel",
        ),
        pytest.param(
            "    MB:0=2048;1=2048\n  SMBA:0=2048;1=2048\n    L3:0=ffff;1=ffff\n",
            {"L3/cbm_mask": "ffff\n", "L3/num_closids": "16\n", **AMD_MB},
            "AuthenticAMD",
            offered(
                "amd",
                0xFFFF,
                16,
                (0, 1),
                Cache("L3", 0xFFFF, (0, 1)),
                bandwidth=MemoryBandwidth((0, 1), AMD_UNITS, 1, 1, 2048),
            ),
            id="amd",
        ),
        pytest.param(
            "MB:0=4096\n",
            AMD_MB,
            "HygonGenuine",
            offered("", 0, 16, (0,), bandwidth=MemoryBandwidth((0,), AMD_UNITS, 1, 1, 4096)),
            id="a-vendor-that-counts-as-amd-does",
        ),
        pytest.param(
            "L3:0=fff;8=fff;16=fff\n",
            {"L3/cbm_mask": "fff\n", "L3/num_closids": "4\n"},
            "GenuineIntel",
            offered("intel", 0xFFF, 4, (0, 8, 16), Cache("L3", 0xFFF, (0, 8, 16))),
            id="sparse-cache-ids",
        ),
        pytest.param(
            "L3DATA:0=7ff;1=7ff\nL3CODE:0=7ff;1=7ff\n",
            {
                f"{name}/{file}": text
                for name in ("L3CODE", "L3DATA")
                for file, text in (("cbm_mask", "7ff\n"), ("num_closids", "8\n"))
            },
            "GenuineIntel",
            offered("intel", 0x7FF, 8, (0, 1), Cache("L3CODE", 0x7FF, (0, 1)), Cache("L3DATA", 0x7FF, (0, 1))),
            id="code-and-data-apart",
        ),
        pytest.param(
            "    L2:0=ff;1=ff;2=ff\n    L3:0=7ff\n",
            {**L3, "L2/cbm_mask": "ff\n", "L2/num_closids": "8\n", "L2/min_cbm_bits": "1\n"},
            "GenuineIntel",
            offered("intel", 0x7FF, 8, (0,), Cache("L3", 0x7FF, (0,)), Cache("L2", 0xFF, (0, 1, 2))),
            id="l2-beside-l3",
        ),
        pytest.param(
            "    L2:0=ff;1=ff\n",
            {"L2/cbm_mask": "ff\n", "L2/num_closids": "4\n"},
            "GenuineIntel",
            offered("intel", 0, 4, (0, 1), Cache("L2", 0xFF, (0, 1))),
            id="l2-alone",
        ),
        pytest.param(
            "    MB:0=100;1=100\n",
            INTEL_MB,
            "GenuineIntel",
            offered("intel", 0, 8, (0, 1), bandwidth=MemoryBandwidth((0, 1))),
            id="bandwidth-only",
        ),
        pytest.param(
            "L3:0=7ff\n", L3, "Sunway", offered("", 0x7FF, 16, (0,), Cache("L3", 0x7FF, (0,))), id="other-vendor"
        ),
    ],
)
def test_what_resctrl_offers(
    tmp_path: Path, schemata: str, info: dict[str, str], vendor: str, expected: Resctrl
) -> None:
    node = read_node(HostTree(tmp_path).resctrl(schemata, info=info, vendor=vendor).root, "n")
    assert node.resctrl == expected
    assert not [p for p in node.problems if "/sys/fs/resctrl" in p]


def test_bandwidth_in_megabytes_is_known_by_how_resctrl_is_mounted(tmp_path: Path) -> None:
    others = "".join(f"overlay /run/{i} overlay rw,relatime,lowerdir=/{'x' * 80} 0 0\n" for i in range(500))
    tree = HostTree(tmp_path).resctrl("MB:0=4294967295\n", info=INTEL_MB)
    tree.write("proc/mounts", others + "resctrl /host/sys/fs/resctrl resctrl rw,relatime,cdp,mba_MBps 0 0\n")
    resctrl = read_node(tree.root, "n").resctrl
    assert resctrl is not None
    assert resctrl.bandwidth == MemoryBandwidth((0,), MBPS, 1, 1, 2**32 - 1)


def test_groups_are_the_directories_that_the_kernel_did_not_make(tmp_path: Path) -> None:
    tree = HostTree(tmp_path).resctrl("L3:0=7ff\n", info=L3, groups=("LS", "BE", "koordlet-1234"))
    resctrl = read_node(tree.root, "n").resctrl
    assert resctrl is not None
    assert resctrl.groups == {"LS", "BE", "koordlet-1234"}


def test_without_a_mount_there_is_none_and_no_problem(tmp_path: Path) -> None:
    (tmp_path / "empty/sys/fs/resctrl").mkdir(parents=True)
    for root in (tmp_path / "absent", tmp_path / "empty"):
        node = read_node(root, "n")
        assert node.resctrl is None
        assert not [p for p in node.problems if "/sys/fs/resctrl" in p]


def test_a_cpu_that_only_monitors_has_none_and_no_problem(tmp_path: Path) -> None:
    node = read_node(HostTree(tmp_path).write("sys/fs/resctrl/info/L3_MON/num_rmids", "224\n").root, "n")
    assert node.resctrl is None
    assert not [p for p in node.problems if "/sys/fs/resctrl" in p]


@pytest.mark.parametrize(
    ("path", "text", "problem"),
    [
        ("schemata", None, "expected the schemata of the default group, found nothing"),
        ("schemata", "L4:0=ff\n", 'expected a line such as L3:0=7ff;1=7ff or MB:0=100;1=100, got "L4:0=ff"'),
        ("schemata", "L3:a=7ff\n", 'expected a line such as L3:0=7ff;1=7ff or MB:0=100;1=100, got "L3:a=7ff"'),
        ("schemata", "", 'expected a line such as L3:0=7ff;1=7ff or MB:0=100;1=100, got ""'),
        ("info/L3/cbm_mask", None, "expected a number, found nothing"),
        ("info/L3/cbm_mask", "all\n", 'expected a hexadecimal number, got "all"'),
        ("info/L3/cbm_mask", "0\n", 'expected a number above 0, got "0"'),
        ("info/L3/num_closids", "-4\n", 'expected a number above 0, got "-4"'),
    ],
)
def test_nonsense_is_none_and_a_problem_that_names_it(
    tmp_path: Path, path: str, text: str | None, problem: str
) -> None:
    tree, file = HostTree(tmp_path).resctrl("L3:0=7ff\n", info=L3), f"sys/fs/resctrl/{path}"
    node = read_node((tree.remove(file) if text is None else tree.write(file, text)).root, "n")
    assert node.resctrl is None
    assert [p for p in node.problems if "/sys/fs/resctrl" in p] == [f"{tmp_path}/{file}: {problem}"]


def test_a_resource_that_makes_no_sense_costs_no_other(tmp_path: Path) -> None:
    node = read_node(HostTree(tmp_path).resctrl("L3:0=7ff\nMB:0=100\n", info=L3).root, "n")
    assert node.resctrl == offered("intel", 0x7FF, 16, (0,), Cache("L3", 0x7FF, (0,)))
    (problem,) = (p for p in node.problems if "/sys/fs/resctrl" in p)
    assert problem.endswith("info/MB/num_closids: expected a number, found nothing")
