"""The table of the part `isolation`."""

from typing import Any

from koordnri.cli.bench.isolation.table import as_text


def test_the_table_has_medians_quartiles_sentences_and_what_was_thrown_away() -> None:
    spread = {"q1": 1.0, "median": 15.55, "q3": 2167.4}
    figures: dict[str, Any] = {
        "node": {
            "kernel": "6.1",
            "cpus": 2,
            "cgroups": "v1, cgroupfs",
            "runtime": "containerd 2",
            "date": "2026-01-01",
        },
        "rounds": 5,
        "seconds": 5.0,
        "skipped": {"D4": "needs v2", "D5 io.latency": "needs a file"},
        "designs": {
            "D1": {
                "question": "beside batch",
                "arms": {"alone": {"p50_ms": spread}},
                "kept_rounds": 4,
                "thrown_away": ["round 2: noise"],
                "says": ["it is better."],
            }
        },
    }
    text = as_text(figures)
    assert "batch" not in text.splitlines()[4]
    for part in (
        "containerd 2, kernel 6.1, 2 CPUs",
        "D1: beside batch",
        "15.6 (1.00-2167)",
        "it is better.",
        "round 2",
        "D4: needs v2\nD5 io.latency: needs a file",
    ):
        assert part in text
