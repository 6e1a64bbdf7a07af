"""The runtime's block I/O classes, from the file that its configuration names.

No runtime can be asked for them, and containerd fails a container with an unknown class. The runtime's configuration can be read if the
daemon sees the host's /etc. Otherwise nothing is known, and the policy's author must know. Sources: containerd's CRI configuration guide,
CRI-O's crio.conf(5) (`blockio_config_file`); the format is goresctrl's.
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
    """Their names; empty if the runtime has none, None if no runtime's configuration can be read.

    A node with configurations of both runtimes gets the classes of both: the files do not say which runtime is running.
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
    """The path of the file with the classes, "" if the configuration names none; nothing if there is no configuration."""
    config = _toml(files, _CONTAINERD)
    if config is not None and not config.get("imports"):  # an imported file may name another one
        yield _text(config, "plugins", _TASKS, _KEY)


def _crio(files: HostFiles) -> Iterator[str]:
    """The same for CRI-O. Files in the directory follow the main one by name, and the last one wins."""
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
    except Exception:  # noqa: BLE001  # PyYAML raises any exception for a tag that does not fit its value
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
    except (ValueError, RecursionError):  # TOMLDecodeError, or a number with thousands of digits
        files.bad(path, f"{len(text)} characters of something else", "TOML")
        return None


def _text(config: Any, *path: str) -> str:
    for key in path:
        config = config.get(key) if isinstance(config, dict) else None
    return config if isinstance(config, str) else ""
