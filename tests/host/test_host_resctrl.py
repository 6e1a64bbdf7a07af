"""resctrl from fake trees: Intel, AMD, cdp, MB alone, sparse cache ids, nonsense."""

from pathlib import Path

import pytest
from trees import HostTree

from koordnri.host import read_node
from koordnri.model.node import Resctrl

L3 = {"L3/cbm_mask": "7ff\n", "L3/num_closids": "16\n"}
NO_GROUPS: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("schemata", "info", "vendor", "expected"),
    [
        pytest.param(
            "    MB:0=100;1=100\n    L3:0=7ff;1=7ff\n",
            {**L3, "MB/num_closids": "8\n"},
            "GenuineIntel",
            Resctrl("intel", 0x7FF, 16, (0, 1), NO_GROUPS),
            id="intel",
        ),
        pytest.param(
            "    MB:0=2048;1=2048\n  SMBA:0=2048;1=2048\n    L3:0=ffff;1=ffff\n",
            {"L3/cbm_mask": "ffff\n", "L3/num_closids": "16\n"},
            "AuthenticAMD",
            Resctrl("amd", 0xFFFF, 16, (0, 1), NO_GROUPS),
            id="amd",
        ),
        pytest.param(
            "L3:0=fff;8=fff;16=fff\n",
            {"L3/cbm_mask": "fff\n", "L3/num_closids": "4\n"},
            "GenuineIntel",
            Resctrl("intel", 0xFFF, 4, (0, 8, 16), NO_GROUPS),
            id="sparse-cache-ids",
        ),
        pytest.param(
            "L3DATA:0=7ff;1=7ff\nL3CODE:0=7ff;1=7ff\n",
            {"L3CODE/cbm_mask": "7ff\n", "L3CODE/num_closids": "8\n", "L3DATA/num_closids": "8\n"},
            "GenuineIntel",
            Resctrl("intel", 0x7FF, 8, (0, 1), NO_GROUPS),
            id="code-and-data-apart",
        ),
        pytest.param(
            "    MB:0=100;1=100\n",
            {"MB/num_closids": "8\n"},
            "GenuineIntel",
            Resctrl("intel", 0, 8, (0, 1), NO_GROUPS),
            id="bandwidth-only",
        ),
        pytest.param("L3:0=7ff\n", L3, "Sunway", Resctrl("", 0x7FF, 16, (0,), NO_GROUPS), id="other-vendor"),
    ],
)
def test_what_resctrl_offers(
    tmp_path: Path, schemata: str, info: dict[str, str], vendor: str, expected: Resctrl
) -> None:
    node = read_node(HostTree(tmp_path).resctrl(schemata, info=info, vendor=vendor).root, "n")
    assert node.resctrl == expected
    assert not [p for p in node.problems if "/sys/fs/resctrl" in p]


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
        ("schemata", "L2:0=ff\n", 'expected a line such as L3:0=7ff;1=7ff or MB:0=100;1=100, got "L2:0=ff"'),
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
