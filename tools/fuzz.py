"""Search with atheris for inputs that break a target of tests/fuzz/targets. `make fuzz` runs it.

    python tools/fuzz.py                        all targets, ten minutes in all
    python tools/fuzz.py --seconds 60 cpusets   one target, a minute
    python tools/fuzz.py cpusets build/fuzz/cpusets/crash-…     one input again

A target has failed when it raises, takes more than 10 s, or needs more than 1 GiB. The input is kept under build/fuzz/<target>; what to
do: mend the code, and keep the input as a unit test and in tests/fuzz/corpus/<target>. Inputs that reached new code are kept there, too,
for the next search. The random number generator starts from --seed.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGETS = sorted(file.stem for file in (ROOT / "tests/fuzz/targets").glob("*.py"))
FOUND = ROOT / "build/fuzz"
INSTRUMENTED = ["koordnri", "koordnri_hooks", "tests.fuzz.targets"]
MOST_BYTES = 8192
TIMEOUT_S = 10
MOST_MIB = 1024
_EXECUTED = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_COVERED = re.compile(r"\bft: (\d+) corp: (\d+)")


def main() -> int:
    """0: no target has failed."""
    arguments = argparse.ArgumentParser(description="Search for inputs that break a target of tests/fuzz/targets.")
    arguments.add_argument("--seconds", type=int, default=600, help="of all targets together [600]")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("target", nargs="?", choices=TARGETS)
    arguments.add_argument("input", nargs="?", type=Path, help="run this input only")
    given = arguments.parse_args()
    if given.input is not None:
        sys.path.insert(0, str(ROOT))
        import_module(f"tests.fuzz.targets.{given.target}").check(given.input.read_bytes())
        print(f"{given.target}: holds for {given.input}")
        return 0
    targets = TARGETS if given.target is None else [given.target]
    failed = [target for target in targets if not _search(target, max(1, given.seconds // len(targets)), given.seed)]
    for target in failed:
        for file in sorted(FOUND.joinpath(target).glob("*-*")):
            print(f"failed: tools/fuzz.py {target} {file.relative_to(ROOT)}")
    return 1 if failed else 0


def _search(target: str, seconds: int, seed: int) -> bool:
    """Search in a process of its own, because libFuzzer ends its process. Returns whether the target held."""
    kept, known = FOUND / target / "corpus", ROOT / "tests/fuzz/corpus" / target
    kept.mkdir(parents=True, exist_ok=True)
    limits = [f"-max_total_time={seconds}", f"-timeout={TIMEOUT_S}", f"-rss_limit_mb={MOST_MIB}"]
    limits += [f"-max_len={MOST_BYTES}", f"-seed={seed}", "-print_final_stats=1", f"-artifact_prefix={kept.parent}/"]
    command = [sys.executable, "-c", _CHILD, target, *limits, str(kept), str(known)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace")
    executed, covered = _EXECUTED.search(done.stderr), _COVERED.findall(done.stderr)
    if executed is None and done.returncode:
        sys.exit(f"{target}: {done.stderr[-2000:]}")
    features, size = covered[-1] if covered else ("?", "?")
    inputs = executed.group(1) if executed else "?"
    print(f"{target}: {inputs} inputs in {seconds} s, {features} features reached, {size} inputs kept", flush=True)
    if done.returncode:
        print(done.stdout[-3000:] + done.stderr[-1500:])
    return done.returncode == 0


_CHILD = f"""
import sys, importlib
import atheris
with atheris.instrument_imports(include={INSTRUMENTED}):
    target = importlib.import_module("tests.fuzz.targets." + sys.argv[1])
atheris.Setup([sys.argv[0], *sys.argv[2:]], target.check)
atheris.Fuzz()
"""

if __name__ == "__main__":
    sys.exit(main())
