"""Regenerate the committed *_pb2.py and their stubs from the .proto files beside them.

    python tools/generate_protos.py           write
    python tools/generate_protos.py --check   write nothing, exit 1 when the committed code is stale (CI)

protoc comes from grpcio-tools and the stubs from mypy-protobuf, both pinned by requirements-dev.lock; another version
of either may change the generated text, so run this from an environment made of the lock.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

REPO = Path(__file__).resolve().parent.parent
# Paths relative to the repository: the name a file has in protobuf's descriptor pool is the one given here, and must be
# unique in the process (every Go-derived package calls its file "api.proto").
PROTOS = (
    "koordnri/wire/api.proto",
    "koordnri/wire/ttrpc.proto",
    "koordnri/wire/views.proto",
    "koordnri/cli/bench/isolation/cri.proto",
)
SUFFIXES = ("_pb2.py", "_pb2.pyi")


def outputs() -> list[str]:
    """The generated files, relative to the repository."""
    return [proto.removesuffix(".proto") + suffix for proto in PROTOS for suffix in SUFFIXES]


def generate(out: Path) -> None:
    """Run protoc with `out` as the root of the generated tree. Raises SystemExit when protoc refuses."""
    plugin = shutil.which("protoc-gen-mypy", path=str(Path(sys.executable).parent)) or shutil.which("protoc-gen-mypy")
    if plugin is None:
        raise SystemExit("protoc-gen-mypy not found beside this Python or in PATH: install mypy-protobuf (extra `dev`)")
    status = protoc.main(
        [
            "protoc",
            f"-I{REPO}",
            f"--plugin=protoc-gen-mypy={plugin}",
            f"--python_out={out}",
            f"--mypy_out=quiet:{out}",
            *(str(REPO / proto) for proto in PROTOS),
        ]
    )
    if status:
        raise SystemExit(f"protoc failed with status {status}; its message is above")


def stale(out: Path) -> list[str]:
    """Names of committed files that differ from a fresh generation under `out`."""
    return [
        name
        for name in outputs()
        if not (REPO / name).is_file() or (REPO / name).read_bytes() != (out / name).read_bytes()
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="Regenerate the protobuf code.")
    parser.add_argument("--check", action="store_true", help="only report whether the committed code is stale")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="koordnri-protos-") as directory:
        out = Path(directory)
        generate(out)
        changed = stale(out)
        for name in changed:
            if arguments.check:
                sys.stderr.write(f"{name} is stale: run `python tools/generate_protos.py` and commit the result\n")
            else:
                shutil.copyfile(out / name, REPO / name)
                sys.stderr.write(f"wrote {name}\n")
    return 1 if arguments.check and changed else 0


if __name__ == "__main__":
    raise SystemExit(main())
