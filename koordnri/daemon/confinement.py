"""Where the daemon may still write, once it has given up the rest: its state directory, cgroups, resctrl, and what `--write` names."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from koordnri.daemon.config import WRITES, Config
from koordnri.host import terway
from koordnri.host.landlock import LEAST_VERSION, landlock_version, restrict_writes
from koordnri.kube.kubeconfig import may_start_programs

NOT_CONFINED = "off: not asked for"


def confine(config: Config) -> str:
    """Restrict this process as far as the kernel can, and return what holds, for people. Call it before any thread is started.

    It never keeps the daemon from starting: without Landlock everything works as with it.
    """
    if config.landlock == "off":
        return "off: --landlock off"
    if config.kubeconfig is not None and may_start_programs(config.kubeconfig):
        return "off: the kubeconfig names a program, which may keep files of its own, or cannot be read"
    version = landlock_version()
    if version < LEAST_VERSION:
        return "off: this kernel has no Landlock of version 2 (Linux 5.19), or does not let us use it"
    with contextlib.suppress(OSError):  # whoever needs the directory reports it
        config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if "terway" in config.write:
        with contextlib.suppress(OSError):
            (config.host_root / terway.DIRECTORY).mkdir(parents=True, exist_ok=True)
    directories = sorted({_existing(path) for path in _written(config)})
    try:
        # Of a runtime that is not there, programs are asked for their version, with /dev/null as their input.
        restrict_writes([*directories, Path(os.devnull)])
    except OSError as error:
        return f"off: {error.strerror or error}"
    return f"on: writes only below {', '.join(map(str, directories))}"


def _written(config: Config) -> list[Path]:
    kernel = config.host_root / "sys/fs"
    # A rule holds for what is mounted below its directory, also later, but not for what is mounted on the directory itself. resctrl may be
    # mounted after our start, and again with other options; so where the CPU has it, the rule is about its parent.
    more = [config.host_root / path for word in config.write for path in WRITES[word]]
    # The official client puts certificates that are in the kubeconfig itself into temporary files.
    temporary = [Path(tempfile.gettempdir())] if config.kubeconfig is not None else []
    return [config.state_dir, kernel if (kernel / "resctrl").is_dir() else kernel / "cgroup", *more, *temporary]


def _existing(path: Path) -> Path:
    """The directory, or what exists above it: it may be made later."""
    path = path.absolute()
    return next(one for one in (path, *path.parents) if one.is_dir())
