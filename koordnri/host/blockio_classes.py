"""The block I/O classes that the runtime knows: those of the file that its own configuration names.

Nobody can ask a runtime for them, and containerd fails every container that is given another one. Its configuration can be read where
the daemon sees the host's /etc; where that shows no configuration, nothing is known, and the policy's author has to know. Source:
containerd's docs/cri/config.md and CRI-O's crio.conf(5) (`blockio_config_file`), the format is goresctrl's.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import yaml

from koordnri.host.files import HostFiles

_CONTAINERD = "etc/containerd/config.toml"
_CRIO = "etc/crio/crio.conf"
_CRIO_MORE = "etc/crio/crio.conf.d"
_TASKS = "io.containerd.service.v1.tasks-service"
_KEY = "blockio_config_file"
_MOST_BYTES = 1 << 20


def read_blockio_classes(files: HostFiles) -> frozenset[str] | None:
    """Their names; empty where the runtime has none, None where no runtime's configuration can be read.

    A node with the configurations of both runtimes has the classes of both, for which one is running does not show here.
    """
    named = [*_containerd(files), *_crio(files)]
    if not named:
        return None
    names: set[str] = set()
    for path in named:
        found = _classes(files, path) if path else frozenset()
        if found is None:
            return None
        names |= found
    return frozenset(names)


def _containerd(files: HostFiles) -> Iterator[str]:
    """The path of the file with the classes, "" where the configuration names none; nothing where there is no configuration."""
    config = _toml(files, _CONTAINERD)
    if config is not None and not config.get("imports"):  # what is imported may name another
        yield _text(config, "plugins", _TASKS, _KEY)


def _crio(files: HostFiles) -> Iterator[str]:
    """The same. The files of the directory come after the main one, by their names, and the last word counts."""
    more = files.entries(_CRIO_MORE)
    paths = [_CRIO, *(f"{_CRIO_MORE}/{name}" for name in sorted(more[1] if more else ()))]
    configs = [config for path in paths if (config := _toml(files, path)) is not None]
    if configs:
        yield next((path for c in reversed(configs) if (path := _text(c, "crio", "runtime", _KEY))), "")


def _classes(files: HostFiles, path: str) -> frozenset[str] | None:
    text = files.text(path.lstrip("/"), _MOST_BYTES)
    if text is None:
        return None
    try:
        found = yaml.safe_load(text)
    except Exception:  # noqa: BLE001  # of a tag that does not fit its value, PyYAML raises whatever comes of it
        files.bad(path.lstrip("/"), f"{len(text)} characters of something else", "the YAML of block I/O classes")
        return None
    classes = found.get("Classes") if isinstance(found, dict) else None
    return frozenset(name for name in classes if isinstance(name, str)) if isinstance(classes, dict) else frozenset()


def _toml(files: HostFiles, path: str) -> dict[str, Any] | None:
    text = files.text(path, _MOST_BYTES)
    if text is None:
        return None
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):  # TOMLDecodeError, and a number of thousands of digits
        files.bad(path, f"{len(text)} characters of something else", "TOML")
        return None


def _text(config: Any, *path: str) -> str:
    for key in path:
        config = config.get(key) if isinstance(config, dict) else None
    return config if isinstance(config, str) else ""
