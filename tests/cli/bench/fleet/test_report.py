from __future__ import annotations

import json

from click.testing import CliRunner

from koordnri.cli.bench.command import bench
from koordnri.cli.bench.fleet.simulation import AFTER_S, HAPPENS


def test_its_shape_is_the_promised_one() -> None:
    result = CliRunner().invoke(bench, ["--part", "fleet", "--nodes", "3", "-o", "json"], catch_exceptions=False)
    fleet = json.loads(result.output)["fleet"]
    assert (fleet["nodes"], fleet["connections"], fleet["seconds"]) == (3, 12, AFTER_S)
    assert list(fleet["happens"]) == list(HAPPENS)
    for name, figures in fleet["happens"].items():
        assert set(figures) == {
            *("requests_per_s", "peak_requests_per_s", "mb_per_s", "peak_mb_per_s", "peak_cpus", "refused"),
            *("longest_wait_s", "reached_s", "requests"),
        }
        assert len(figures["requests"]) == AFTER_S
        changed = name in ("policy", "policy_annotated", "restart")
        assert set(figures["reached_s"]) == ({"50 %", "99 %", "all"} if changed else set())


def test_the_text_has_a_line_for_each_thing_that_happens() -> None:
    result = CliRunner().invoke(bench, ["--part", "fleet", "--nodes", "3"], catch_exceptions=False)
    lines = result.output.splitlines()
    assert lines[0].startswith("3 nodes: 12 connections to the API server")
    assert [line[:34].strip() for line in lines[4:]] == [
        "nothing happens",
        "a new policy",
        "with --annotate-node",
        "one of three API servers ends",
        "the only one was gone for 20 s",
    ]
