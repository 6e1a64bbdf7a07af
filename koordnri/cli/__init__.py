"""The command line, one file per command; heavy imports stay inside the command that needs them."""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys

import click

COMMANDS = {
    "run": "the daemon: register with the container runtime and decide",
    "simulate": "run pods through the real daemon against an embedded runtime, and show what they got",
    "explain": "show what would be decided for a Pod manifest, and why",
    "diff": "show what another policy would change of containers that run",
    "release": "give containers back to kubelet, as if koordnri had never been there",
    "status": "show how the running daemon and its node are, on one screen and as an exit code",
    "map": "show the node as a picture: who has which CPUs",
    "top": "show live what pods use of what they were given",
    "node": "print this node as a --node file, so that a decision can be repeated elsewhere",
    "doctor": "check this node: what keeps koordnri from working, and how to mend it",
    "verify": "create a pod of each class on this node, and check what it got",
    "why": "show when, why and from what a field of a pod changed",
    "metrics": "print what the daemon's metrics are called and mean",
    "report": "write a file for a bug report, without secrets",
    "page": "show a report's node in a browser, as the daemon's page would",
    "policy": "check policies before a cluster sees them; the JSON Schema of what they may say",
    "log": "print what the runtime sends its plugins, as a second plugin that only looks",
    "differ": "print what each plugin changes of containers, likewise",
    "bench": "measure the event path and the reconciler, and what the settings are worth to a service",
    "demo": "show what settings are worth to a service beside batch work, live in a terminal",
    "conformance": "check that an NRI plugin, in any language, does what a runtime expects",
    "v010": "a second plugin: start programs for NRI v0.1 when pods and containers start and end",
    "version": "print the version",
}

_ELSEWHERE = {"bench": "bench.command", "demo": "demo.command"}
"""Commands that are more than one file → their module."""
_UNWRITABLE = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class _Lazy(click.Group):
    """Loads a command's module only when it is called, so that `run` does not pay for the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"koordnri.cli.{_ELSEWHERE.get(cmd_name, cmd_name)}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "KOORDNRI"})
def cli() -> None:
    """koordnri decides CPU, memory, LLC, block I/O and GPU settings of containers before they run, as an NRI plugin."""


def main() -> None:
    """Entry point. A runtime that launches its plugins passes no arguments: that means `run`."""
    if len(sys.argv) == 1 and "NRI_PLUGIN_SOCKET" in os.environ:
        sys.argv.append("run")
    for stream in sys.stdout, sys.stderr:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a locale without "→" must not fail the command
    try:
        try:
            cli(prog_name="koordnri")
        finally:
            sys.stdout.flush()
    except OSError as error:
        if error.errno not in _UNWRITABLE or error.filename is not None:
            raise
        # Python would flush the buffer once more at exit, fail again, and print a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if error.errno != errno.EPIPE:  # the reader closed the pipe on purpose
            print(f"Error: standard output cannot be written: {error.strerror}", file=sys.stderr)
        sys.exit(2)
