"""A comparison as JSON."""

from __future__ import annotations

import json

from koordnri.reconcile.compare.rows import Released
from tests.reconcile.compare.one_comparison import compared, third


def test_the_shape_in_json():
    mount = {"source": "/lib", "type": "bind", "options": ["ro"]}
    found = compared(third(), third({"mount[/lib]": mount, "cpu.quota": 70_000}, "fail"), cpu_quota=50_000)
    shape = json.loads(json.dumps(found.as_json()))
    assert shape == {
        "old": found.old,
        "new": found.new,
        "pods": 1,
        "containers": 1,
        "differences": [
            {
                "namespace": "shop",
                "pod": "p",
                "container": "main",
                "class": None,
                "group": None,
                "field": "cpu.quota",
                "unit": "µs",
                "before": 50_000,
                "after": 70_000,
                "route": "write",
                "recorded": True,
                "reason": "as set",
            },
            {
                "namespace": "shop",
                "pod": "p",
                "container": "main",
                "class": None,
                "group": None,
                "field": "mount[/lib]",
                "unit": "bind mount",
                "before": None,
                "after": mount,
                "route": "restart",
                "recorded": False,
                "reason": "as set",
            },
        ],
        "remarks": [
            {
                "namespace": "shop",
                "pod": "p",
                "container": None,
                "class": None,
                "hook": "third",
                "message": "RuntimeError: no idea",
            }
        ],
        "notes": [],
    }
    assert found.old != found.new


def test_the_shape_of_what_was_released():
    released = Released("shop", "p", "", "memory.min", 4096, 0, "written")
    assert released.as_json() == {
        "namespace": "shop",
        "pod": "p",
        "container": None,
        "field": "memory.min",
        "before": 4096,
        "after": 0,
        "status": "written",
        "error": "",
        "class": None,
    }


def test_a_row_of_a_class_has_neither_pod_nor_container():
    found = compared(third(), third(of_class={"memory.min": 4096}))
    shapes = [d.as_json() for d in found.differences]
    assert {(s["class"], s["namespace"], s["pod"], s["container"]) for s in shapes} == {
        (kube_class, "", "", None) for kube_class in ("Guaranteed", "Burstable", "BestEffort")
    }
    released = Released("", "", "", "memory.min", 4096, 0, "written", kube_class="Burstable").as_json()
    assert (released["class"], released["namespace"], released["pod"], released["container"]) == (
        "Burstable",
        "",
        "",
        None,
    )
