"""The page on `verify` shows lines as the command prints them, and each of its classes."""

from __future__ import annotations

import re
from pathlib import Path

from koordnri.cli.verify import line_of
from koordnri.cli.verify_expected import Expected
from koordnri.cli.verify_judge import Found
from koordnri.cli.verify_pods import SAMPLES, Placement
from koordnri.model import UNLIMITED
from koordnri.model.fields import CPU_CPUS, CPU_QUOTA, CPU_SHARES, MEMORY_LIMIT

PAGE = (Path(__file__).parents[2] / "docs/use/verify.md").read_text()
LSR, _, BE, _ = SAMPLES
LIMIT = 64 << 20
PLACE = Placement("5f03ab", "koordnri-verify", "n", "registry.k8s.io/pause:3.10", 120)


def test_the_lines_are_those_of_the_command() -> None:
    (text,) = re.findall(r"```text\n(.*?)```", PAGE, flags=re.DOTALL)
    limits = {CPU_QUOTA: UNLIMITED, MEMORY_LIMIT: LIMIT}
    ok = line_of(PLACE, Expected(LSR, limits, 1, ""), Found({CPU_CPUS: "1", **limits}, ()))
    why = "it does not run: ImagePullBackOff; --image names another image (now registry.k8s.io/pause:3.10)"
    batch = {CPU_SHARES: 2, CPU_QUOTA: 20_000, MEMORY_LIMIT: LIMIT}
    assert text.splitlines() == [ok, line_of(PLACE, Expected(BE, batch, 0, ""), Found({}, (why,)))]


def test_each_class_has_a_row() -> None:
    assert re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE) == [sample.title for sample in SAMPLES]
