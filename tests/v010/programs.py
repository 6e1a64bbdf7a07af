"""Two programs for NRI v0.1: one in shell, one in Python. They write down each request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SHELL = """#!/bin/sh
# Keeps each request as it came, one per line, and answers with metadata.
[ "$1" = invoke ] || { echo '{"plugin":"shell","version":"0.1","error":"invalid arg '"$1"'"}'; exit 0; }
cat >> "$(dirname "$0")/shell.log"
echo >> "$(dirname "$0")/shell.log"
echo '{"plugin":"shell","version":"0.1","error":"","metadata":{"seen":"yes"}}'
"""
PYTHON = """#!/usr/bin/env python3
# Refuses what its configuration names; hangs where that asks for it.
import json, pathlib, sys, time

request = json.load(sys.stdin)
with (pathlib.Path(__file__).parent / "python.log").open("a") as log:
    log.write(json.dumps(request) + "\\n")
conf = request.get("conf") or {}
result = {"plugin": "python", "version": request["version"], "error": "", "metadata": {}}
if request["state"] in conf.get("refuse", ()):
    result["error"] = f"{request['id']} is not wanted"
if conf.get("hang"):
    time.sleep(60)
print(json.dumps(result))
"""


class Programs:
    """A directory with both programs, and a conf.json that calls them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "bin"
        self.directory.mkdir()
        self.configuration = directory / "conf.json"
        for name, text in (("shell", SHELL), ("python", PYTHON)):
            path = self.directory / name
            path.write_text(text)
            path.chmod(0o755)

    def configure(self, *plugins: dict[str, Any]) -> None:
        """Write conf.json; without arguments, both are called."""
        wanted = plugins or ({"type": "shell"}, {"type": "python"})
        self.configuration.write_text(json.dumps({"version": "0.1", "plugins": wanted}))

    def requests(self, name: str) -> list[dict[str, Any]]:
        """The requests that a program got."""
        log = self.directory / f"{name}.log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def states(self, name: str) -> list[tuple[str, str]]:
        """(state, id) of each request."""
        return [(request["state"], request["id"]) for request in self.requests(name)]
