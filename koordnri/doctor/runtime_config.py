"""The configuration of containerd and CRI-O: what it says of NRI. Sources: their configuration structures (docs/reference/nri.md, 5.1)."""

from __future__ import annotations

import glob
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from koordnri.doctor.facts import NRI_SOCKET, RuntimeConfig
from koordnri.host.files import HostFiles

MOST_BYTES = 1 << 20
CONTAINERD_FILE = "etc/containerd/config.toml"
CRIO_FILE, CRIO_DROP_INS = "etc/crio/crio.conf", "etc/crio/crio.conf.d"
_NRI = "io.containerd.nri.v1.nri"
_CRI = ("io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri")
"""containerd 2's and 1's plugin with the OCI runtimes"""
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}

Table = Mapping[str, Any]


class BadConfig(Exception):
    """A file is no TOML; the message names it."""


def read_containerd(files: HostFiles, path: str = CONTAINERD_FILE) -> RuntimeConfig | None:
    """None if there is no such file. Imported files come after it, as containerd reads them. Raises BadConfig."""
    main = _table(files, path)
    if main is None:
        return None
    nri: dict[str, Any] = {}
    cri: Table = {}
    disabled: set[str] = set()
    for table in (main, *_imported(files, path, main.get("imports", ()))):
        plugins = _part(table, "plugins")
        nri |= _part(plugins, _NRI)
        cri = next((found for name in _CRI if (found := _part(plugins, name))), cri)
        disabled |= set(_texts(table.get("disabled_plugins")))
    validator = _part(nri, "default_validator")
    return RuntimeConfig(
        path=f"/{path}",
        enabled=False if _NRI in disabled else _negated(nri.get("disable")),
        socket=_text(nri.get("socket_path")) or NRI_SOCKET,
        connections=nri.get("disable_connections") is not True,
        request_timeout_s=seconds(nri.get("plugin_request_timeout")),
        validator=validator.get("enable") is True,
        required_plugins=_texts(validator.get("required_plugins")),
        tolerated=_text(validator.get("tolerate_missing_plugins_annotation")),
        systemd_cgroup=_systemd_cgroup(cri),
    )


def read_crio(files: HostFiles) -> RuntimeConfig | None:
    """None if there is neither the file nor a drop-in. A later drop-in takes precedence, key by key. Raises BadConfig."""
    found = files.entries(CRIO_DROP_INS)
    paths = [CRIO_FILE, *(f"{CRIO_DROP_INS}/{name}" for name in sorted(found[1] if found else ()))]
    tables = [table for path in paths if (table := _table(files, path)) is not None]
    if not tables:
        return None
    nri: dict[str, Any] = {}
    validator: dict[str, Any] = {}
    driver = ""
    for table in tables:
        crio = _part(table, "crio")
        nri |= _part(crio, "nri")
        validator |= _part(_part(crio, "nri"), "default_validator")
        driver = _text(_part(crio, "runtime").get("cgroup_manager")) or driver
    enabled = nri.get("enable_nri")
    return RuntimeConfig(
        path=f"/{CRIO_DROP_INS}/10-nri.conf",
        enabled=enabled if isinstance(enabled, bool) else None,
        socket=_text(nri.get("nri_listen")) or NRI_SOCKET,
        connections=nri.get("nri_disable_connections") is not True,
        request_timeout_s=seconds(nri.get("nri_plugin_request_timeout")),
        validator=validator.get("nri_enable_default_validator") is True,
        required_plugins=_texts(validator.get("nri_validator_required_plugins")),
        tolerated=_text(validator.get("nri_validator_tolerate_missing_plugins_annotation")),
        systemd_cgroup=(driver or "systemd") == "systemd",
    )


def seconds(duration: object) -> float | None:
    """Seconds of a duration as Go writes it, such as `1m30s` or `500ms`; None of anything else."""
    if not isinstance(duration, str) or not duration or _DURATION.sub("", duration):
        return None
    return sum(float(number) * _UNITS_S[unit] for number, unit in _DURATION.findall(duration))


def _table(files: HostFiles, path: str) -> Table | None:
    text = files.text(path, MOST_BYTES)
    if text is None:
        return None
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadConfig(f"{files.path(path)}: {error}") from None


def _imported(files: HostFiles, path: str, patterns: object) -> Iterable[Table]:
    for pattern in _texts(patterns):
        full = pattern if pattern.startswith("/") else f"/{os.path.dirname(path)}/{pattern}"
        for file in sorted(glob.glob(files.path(full.lstrip("/")))):
            if (table := _table(files, os.path.relpath(file, files.path("")))) is not None:
                yield table


def _systemd_cgroup(cri: Table) -> bool | None:
    """Of the default OCI runtime; None when it names no OCI runtime."""
    containerd = _part(cri, "containerd")
    runtimes = _part(containerd, "runtimes")
    default = _part(runtimes, _text(containerd.get("default_runtime_name")) or "runc")
    return _part(default, "options").get("SystemdCgroup") is True if default else None


def _part(table: Table, key: str) -> Table:
    part = table.get(key)
    return part if isinstance(part, Mapping) else {}


def _texts(value: object) -> tuple[str, ...]:
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, list) else ()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _negated(value: object) -> bool | None:
    return not value if isinstance(value, bool) else None
