"""OCI images of one layer, packed by hand: no registry, no image tools, the same bytes every time."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path

NAME = "koordnri.test/busybox:1"
"""Reference under which the image is imported; serves as workload and as the pods' pause image."""

APPLETS = ("sh", "sleep", "cat", "env", "echo", "true", "false", "kill", "ls", "tail", "taskset", "nproc", "id", "dd")
_DIRECTORIES = ("bin", "dev", "etc", "proc", "sys", "tmp", "usr", "usr/bin")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def pack(busybox: Path, target: Path) -> None:
    """Write the image of a static `busybox` as an OCI archive to `target`.

    It sleeps for ever unless a command says otherwise, which is all that a pause container has to do.
    """
    config = {"Entrypoint": ["/bin/sleep"], "Cmd": ["infinity"], "Env": ["PATH=/bin"], "WorkingDir": "/"}
    write_archive(_tar(_rootfs(busybox)), config, NAME, target)


def write_archive(layer: bytes, config: dict[str, object], name: str, target: Path) -> None:
    """Write an image of one layer, a tar archive, as an OCI archive to `target`.

    config   what a container of it runs by default, as the OCI image specification has it
    """
    described = _json(
        {
            "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
            "history": [{"created_by": "koordnri test laboratory"}],
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _descriptor("application/vnd.oci.image.config.v1+json", described),
            "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
        }
    )
    named = _descriptor("application/vnd.oci.image.manifest.v1+json", manifest)
    # Both spellings: containerd reads the first, the specification has the second.
    named["annotations"] = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
    index = _json({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [named]})
    entries = [_file("oci-layout", _json({"imageLayoutVersion": "1.0.0"})), _file("index.json", index)]
    entries += [_file("blobs/sha256/" + _digest(blob).partition(":")[2], blob) for blob in (layer, described, manifest)]
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".new")
    unfinished.write_bytes(_tar(entries))
    unfinished.replace(target)


Entry = tuple[tarfile.TarInfo, bytes]


def _rootfs(busybox: Path) -> list[Entry]:
    entries: list[Entry] = []
    for name in _DIRECTORIES:
        directory = tarfile.TarInfo(name)
        directory.type, directory.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
        entries.append((directory, b""))
    entries.append(_file("bin/busybox", busybox.read_bytes(), 0o755))
    for applet in APPLETS:
        link = tarfile.TarInfo(f"bin/{applet}")
        link.type, link.linkname = tarfile.SYMTYPE, "busybox"
        entries.append((link, b""))
    entries.append(_file("etc/passwd", b"root:x:0:0:root:/:/bin/sh\n"))
    return entries


def _file(name: str, content: bytes, mode: int = 0o644) -> Entry:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    return info, content


def _tar(entries: list[Entry]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _digest(blob: bytes) -> str:
    return "sha256:" + hashlib.sha256(blob).hexdigest()


def _descriptor(media_type: str, blob: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": _digest(blob), "size": len(blob)}
