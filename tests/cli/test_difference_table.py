"""The last line of a comparison, as a table."""

from __future__ import annotations

import pytest

from koordnri.cli.difference_table import print_differences


@pytest.mark.parametrize(
    ("rows", "summed"),
    [
        ([(None, "web")], "1 field of 0 containers in 1 pod"),
        ([("BestEffort", "")], "1 field of 1 QoS class"),
        ([("root", "")], "1 field of the whole machine"),
        ([(None, "web"), ("root", "")], "2 fields of 0 containers in 1 pod and the whole machine"),
        (
            [(None, "web"), ("Burstable", ""), ("BestEffort", ""), ("root", "")],
            "4 fields of 0 containers in 1 pod, 2 QoS classes and the whole machine",
        ),
    ],
)
def test_the_last_line_counts_pods_classes_and_what_is_the_machines(capsys, rows, summed):
    blank = {"container": None, "field": "memory.min", "before": 0, "after": 1, "route": "write", "recorded": False}
    differences = [blank | {"class": c, "namespace": "", "pod": name, "reason": ""} for c, name in rows]
    found = {"old": "a", "new": "b", "pods": 1, "containers": 0, "differences": differences, "remarks": []}
    print_differences(found)
    assert f": {summed} would change; " in capsys.readouterr().out.splitlines()[-1]


def test_an_older_daemon_reports_no_classes(capsys):
    old = {"namespace": "shop", "pod": "web", "container": None, "field": "memory.min", "before": 0, "after": 1}
    old |= {"route": "write", "recorded": False, "reason": ""}
    print_differences({"old": "a", "new": "b", "pods": 1, "containers": 0, "differences": [old], "remarks": []})
    assert "1 field of 0 containers in 1 pod would change" in capsys.readouterr().out
