"""Programs that docs/develop shows run as they stand there, and what it names of a hook's context is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from koordnri.hook import ClassContext, ContainerContext, HostContext

DEVELOP = Path(__file__).resolve().parents[2] / "docs/develop"


def test_the_program_that_creates_a_container_under_a_debugger_prints_its_cpus(tmp_path: Path) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", (DEVELOP / "debug.md").read_text(), re.DOTALL | re.MULTILINE)
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert 'cpus: "2-3"' in done.stdout


def test_what_the_pages_name_of_a_hooks_context_is_there() -> None:
    text = "".join(page.read_text() for page in DEVELOP.glob("*.md"))
    named = set(re.findall(r"\bctx\.(\w+)", text))
    assert {"set", "skip", "value", "baseline"} <= named
    contexts = (ContainerContext, ClassContext, HostContext)
    assert [name for name in named if not any(hasattr(context, name) for context in contexts)] == []
