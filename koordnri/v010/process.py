"""Runs one program, for a limited time, and takes a limited output."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from pathlib import Path

from koordnri.v010.call import ProgramError

MOST_OUTPUT_BYTES = 1 << 20


def run(path: Path, request: bytes, until_s: float) -> tuple[bytes, int]:
    """Start `path invoke`, write the request to its stdin. Returns its stdout and its exit code; its stderr is ours.

    until_s  when (monotonic clock) it is killed, with all processes of its session

    Raises ProgramError.
    """
    try:
        process = subprocess.Popen(  # noqa: S603  # an administrator installed it
            [str(path), "invoke"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
    except OSError as error:
        raise ProgramError(f"cannot be started: {error.strerror}") from None
    try:
        output = _talk(process, request, until_s)
        return output, process.wait(max(0.0, until_s - time.monotonic()))
    except (TimeoutError, subprocess.TimeoutExpired):
        raise ProgramError("not done in time, killed") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def _talk(process: subprocess.Popen[bytes], request: bytes, until_s: float) -> bytes:
    """Raises TimeoutError, and ProgramError for too much output."""
    stdin, stdout, output, left = process.stdin, process.stdout, bytearray(), memoryview(request)
    if stdin is None or stdout is None:
        raise ProgramError("started without pipes")
    with selectors.DefaultSelector() as ready:
        for pipe, event in ((stdin, selectors.EVENT_WRITE), (stdout, selectors.EVENT_READ)):
            os.set_blocking(pipe.fileno(), False)
            ready.register(pipe, event)
        while ready.get_map():
            if (wait_s := until_s - time.monotonic()) <= 0:
                raise TimeoutError
            for key, _ in ready.select(wait_s):
                if key.fileobj is stdin:
                    left = left[_written(stdin.fileno(), left) :]
                    if not left:
                        ready.unregister(stdin)
                        _close(stdin)
                elif chunk := os.read(stdout.fileno(), 65536):
                    output += chunk
                    if len(output) > MOST_OUTPUT_BYTES:
                        raise ProgramError(f"wrote more than {MOST_OUTPUT_BYTES} bytes to stdout, killed")
                else:
                    ready.unregister(stdout)
    return bytes(output)


def _written(fd: int, data: memoryview) -> int:
    """How much of the request need not be written any more: a program may answer without reading it."""
    try:
        return os.write(fd, data[:65536])
    except BrokenPipeError:
        return len(data)


def _close(stdin: object) -> None:
    with contextlib.suppress(BrokenPipeError):
        stdin.close()  # type: ignore[attr-defined]
