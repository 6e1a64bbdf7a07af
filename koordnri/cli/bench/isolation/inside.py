"""The programs that run in the containers: `python inside.py PROGRAM JSON`. One file, of the standard library only, so that it runs there.

Each program creates the file `ready`, waits for the file `go` (the start: seconds of the monotonic clock), works for `seconds`, and writes
its `result`:

    service   answers requests that arrive by the clock, whether or not it keeps up (open loop). A request that waits behind others, for
              a CPU or for quota took so much longer
              "iterations": CPU work of a request, or "read": {"path", "bytes": size, "each": pages per request, "direct": past the page
              cache} for random reads of 4 KiB,
              "phases": [[1.0, 0.002], …]: for so many s a request arrives every so many s; then the next phase, and again the first
              result: "due_s": when each request arrived, after the start, "took_s": until it was answered, "cpu_s": used
    batch     processes that use all the CPU that they get
              "processes": how many, "phases": [[1.0, 1.0], …]: works for so many s, rests for so many s, and again
              result: "cpu_s": CPU time of all processes within these seconds
    serve     as service with "iterations", but without an end: a request "every_s"
              "window_s": after so many s it writes "live": {"number": 1 for the first window, …, "took_s": each request of the window,
              "dropped": requests that were not answered, as they would have been more than "window_s" late}
    burn      as batch, but without an end: it rests while the file "rest" exists
              "processes": how many
    stream    reads a file again and again through the page cache
              "path", "bytes": its size
              result: "mib": read
    writer    writes a file again and again past the page cache
              "path", "bytes": its size
              result: "mib": written
"""

from __future__ import annotations

import gc
import itertools
import json
import mmap
import os
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

POLL_S = 0.02
CHUNK = 10_000
"""iterations of batch work between two looks at the clock: less than a millisecond"""
Phases = Sequence[tuple[float, float]]
PAGE = 4096
BLOCK = 1 << 20
"""bytes of a sequential read or write"""
Config = dict[str, Any]


# -- what they share --------------------------------------------------------------------------------------------------


def work(iterations: int) -> int:
    """Use the CPU."""
    total = 0
    for number in range(iterations):
        total ^= number
    return total


def iterations_in(seconds: float) -> int:
    """How many iterations of `work` take so much CPU time here when nothing disturbs them: the fastest of some tries."""
    costs = []
    for _ in range(20):
        began = time.process_time()
        work(CHUNK)
        costs.append(time.process_time() - began)
    return max(1, round(CHUNK * seconds / min(costs)))


def wait_for_go(config: Config) -> float:
    """Report that the program runs, and wait. The start, in s of the monotonic clock."""
    Path(config["ready"]).touch()
    go = Path(config["go"])
    while not go.exists():
        time.sleep(POLL_S)
    return float(go.read_text())


def write_whole(path: Path, text: str) -> None:
    """Who waits for the file finds all of it."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


# -- service ----------------------------------------------------------------------------------------------------------


def arrivals(phases: Phases, seconds: float) -> Iterator[float]:
    """When requests arrive, in s after the start."""
    began = 0.0
    for phase_s, every_s in itertools.cycle(phases):
        for number in range(round(phase_s / every_s)):
            due = began + number * every_s
            if due >= seconds:
                return
            yield due
        began += phase_s


def _request(config: Config) -> Callable[[], object]:
    """What the service does for a request."""
    if "read" not in config:
        iterations = config["iterations"]
        return lambda: work(iterations)
    read = config["read"]
    file = os.open(read["path"], os.O_RDONLY | (os.O_DIRECT if read["direct"] else 0))
    pages, each, buffer = read["bytes"] // PAGE, read["each"], mmap.mmap(-1, PAGE)
    if not read["direct"]:
        for page in range(pages):
            os.preadv(file, [buffer], page * PAGE)

    def request() -> None:
        for _ in range(each):
            os.preadv(file, [buffer], random.randrange(pages) * PAGE)  # noqa: S311  # which page

    return request


def service(config: Config) -> dict[str, Any]:
    """Answer requests."""
    request, due_s = _request(config), list(arrivals(config["phases"], config["seconds"]))
    took_s = [0.0] * len(due_s)
    gc.disable()
    start = wait_for_go(config)
    used_s = time.process_time()
    for number, due in enumerate(due_s):
        wait_s = start + due - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)  # clock_nanosleep
        request()
        took_s[number] = time.monotonic() - start - due
    return {"due_s": due_s, "took_s": took_s, "cpu_s": time.process_time() - used_s}


# -- batch ------------------------------------------------------------------------------------------------------------


def burn(start: float, seconds: float, phases: Phases) -> None:
    """Work and rest by the clock until `seconds` after `start`."""
    at, end = start, start + seconds
    for work_s, rest_s in itertools.cycle(phases):
        until = min(at + work_s, end)
        while time.monotonic() < until:
            work(CHUNK)
        at += work_s + rest_s
        if at >= end:
            return
        time.sleep(max(0.0, at - time.monotonic()))


def batch(config: Config) -> dict[str, Any]:
    """Burn in many processes."""
    start = wait_for_go(config)
    time.sleep(max(0.0, start - time.monotonic()))
    children = []
    for _ in range(config["processes"]):
        child = os.fork()
        if child == 0:
            burn(start, config["seconds"], config["phases"])
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"cpu_s": used.ru_utime + used.ru_stime}


# -- without an end ---------------------------------------------------------------------------------------------------


def serve(config: Config) -> dict[str, Any]:
    """Answer requests until the container is stopped."""
    every_s, window_s, live = config["every_s"], config["window_s"], Path(config["live"])
    request = _request(config)
    gc.disable()
    due = wait_for_go(config)
    window = Window(due + window_s)
    while True:
        wait_s = due - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
        if wait_s < -window_s:
            window.dropped += 1
        else:
            request()
            window.took_s.append(time.monotonic() - due)
        due += every_s
        if due >= window.ends:
            write_whole(live, json.dumps({"number": window.number, "took_s": window.took_s, "dropped": window.dropped}))
            window = Window(window.ends + window_s, window.number + 1)


class Window:
    """Requests that were due until `ends`, s of the monotonic clock."""

    def __init__(self, ends: float, number: int = 1) -> None:
        self.ends = ends
        self.number = number
        self.took_s: list[float] = []
        self.dropped = 0


def burn_on(config: Config) -> dict[str, Any]:
    """Burn in many processes until the container is stopped."""
    rest = config["rest"]
    wait_for_go(config)
    for _ in range(config["processes"] - 1):
        if os.fork() == 0:
            break
    while True:
        if os.path.exists(rest):
            time.sleep(POLL_S)
            continue
        for _ in range(20):
            work(CHUNK)


# -- stream, writer ---------------------------------------------------------------------------------------------------


def stream(config: Config) -> dict[str, Any]:
    """Read."""
    file = os.open(config["path"], os.O_RDONLY)
    return _again_and_again(config, lambda buffer, at: os.preadv(file, [buffer], at))


def writer(config: Config) -> dict[str, Any]:
    """Write."""
    file = os.open(config["path"], os.O_WRONLY | os.O_DIRECT)
    return _again_and_again(config, lambda buffer, at: os.pwritev(file, [buffer], at))


def _again_and_again(config: Config, step: Callable[[mmap.mmap, int], int]) -> dict[str, Any]:
    buffer, done = mmap.mmap(-1, BLOCK), 0  # aligned, as O_DIRECT needs it
    start = wait_for_go(config)
    time.sleep(max(0.0, start - time.monotonic()))
    end = start + config["seconds"]
    while time.monotonic() < end:
        done += step(buffer, done % config["bytes"])
    return {"mib": done / (1 << 20)}


PROGRAMS = {
    "service": service,
    "batch": batch,
    "serve": serve,
    "burn": burn_on,
    "stream": stream,
    "writer": writer,
}

if __name__ == "__main__":
    _config: Config = json.loads(sys.argv[2])
    write_whole(Path(_config["result"]), json.dumps(PROGRAMS[sys.argv[1]](_config)))
