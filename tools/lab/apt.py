"""Debian packages of any suite, without touching the machine's own apt.

The machine's sources already name an archive that it can reach (a mirror, a proxy, a cache). We take that entry,
exchange the suite, and give apt-get private directories for everything it writes. So no host is named here, and the
keys by which the machine trusts its archive keep their say.
"""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

LISTS_FRESH_S = 24 * 3600
"""Package lists younger than this are not fetched again; a suite that moved on within a day is met by a retry."""

_ONE_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^]]*)\]\s*)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)")


class AptError(Exception):
    """apt or dpkg did not deliver; the message says which suite and packages, and what apt itself printed."""


@dataclass(frozen=True, slots=True)
class Source:
    """One archive entry, of either format, reduced to what a derived entry needs."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ""
    """A key file's path, fingerprints, or a whole armoured key (then with its line breaks)."""
    trusted: str = ""

    def to_deb822(self, kind: str = "deb") -> str:
        """This entry as a stanza of a .sources file that fetches package indices only; of sources when `kind` is deb-src."""
        lines = [
            f"Types: {kind}",
            f"URIs: {self.uri}",
            f"Suites: {' '.join(self.suites)}",
            f"Components: {' '.join(self.components)}",
            f"Targets: {'Sources' if kind == 'deb-src' else 'Packages'}",
            "Languages: none",
        ]
        if self.trusted:
            lines.append(f"Trusted: {self.trusted}")
        if self.signed_by:
            lines.append(f"Signed-By: {self.signed_by}")
        return "\n".join(lines) + "\n"


def parse_deb822(text: str) -> Iterator[Source]:
    """Entries of a .sources file that are enabled and offer binary packages."""
    for stanza in re.split(r"\n\s*\n", text):
        keys: dict[str, str] = {}
        key = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in (" ", "\t") and key:
                keys[key] += "\n" + line
            elif ":" in line:
                name, _, value = line.partition(":")
                key = name.strip().lower()
                keys[key] = value.strip()
        if "deb" not in keys.get("types", "").split() or keys.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        for uri in keys.get("uris", "").split():
            yield Source(
                uri=uri,
                suites=tuple(keys.get("suites", "").split()),
                components=tuple(keys.get("components", "").split()),
                signed_by=keys.get("signed-by", ""),
                trusted=keys.get("trusted", ""),
            )


def parse_one_line(text: str) -> Iterator[Source]:
    """Entries of a .list file: `deb [options] uri suite components`."""
    for line in text.splitlines():
        match = _ONE_LINE.fullmatch(line.partition("#")[0].strip())
        if match is None:
            continue
        options = dict(option.split("=", 1) for option in (match["options"] or "").split() if "=" in option)
        yield Source(
            uri=match["uri"],
            suites=(match["suite"],),
            components=tuple(match["components"].split()),
            signed_by=options.get("signed-by", "").replace(",", " "),
            trusted=options.get("trusted", ""),
        )


def machine_sources(etc: Path = Path("/etc/apt")) -> list[Source]:
    """Every enabled binary entry of this machine's apt configuration."""
    found: list[Source] = []
    for path in [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]:
        if not path.is_file():
            continue
        if path.suffix == ".list":
            found += parse_one_line(path.read_text())
        elif path.suffix == ".sources":
            found += parse_deb822(path.read_text())
    return found


def machine_suite(os_release: Path = Path("/etc/os-release")) -> str:
    """Code name of the Debian release that runs here, such as bookworm.

    Raises AptError where this is not Debian.
    """
    text = os_release.read_text() if os_release.exists() else ""
    keys = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    if keys.get("ID", "").strip('"') != "debian":
        raise AptError(f"{os_release}: ID is {keys.get('ID', 'absent')}, expected debian; the laboratory needs Debian")
    return keys.get("VERSION_CODENAME", "sid").strip('"')


def derive(sources: list[Source], own_suite: str, suite: str) -> Source:
    """The machine's entry for Debian's main archive, with the suite exchanged.

    Security updates live in another archive, and third parties name their suites as Debian does (some with `main`
    too), so entries whose address says Debian and not security come first.
    Raises AptError when no entry fits.
    """
    # A suite written as stable, testing or sid names the same archive.
    names = {own_suite, "stable", "oldstable", "testing", "unstable", "sid"}

    def fits(source: Source) -> bool:
        return "main" in source.components and any(name in names for name in source.suites)

    def rank(source: Source) -> tuple[bool, bool, bool]:
        address = source.uri.lower().rstrip("/")
        return (
            "security" in address,
            not address.endswith("/debian") and "debian" not in address.rpartition("/")[2],
            bool(source.signed_by) and "debian-archive" not in source.signed_by,
        )

    candidates = sorted(filter(fits, sources), key=rank)
    if not candidates or rank(candidates[0])[0]:
        raise AptError(
            f"apt sources of this machine: no entry for the main component of {own_suite}, expected one to derive "
            f"{suite} from; add Debian's archive to /etc/apt/sources.list.d"
        )
    return replace(candidates[0], suites=(suite,), components=("main",))


def download(lab_dir: Path, suite: str, packages: list[str]) -> list[Path]:
    """Fetch .deb files of `packages` from `suite`, verified by apt; the paths come in the order of `packages`.

    Everything is kept below lab_dir/apt/<suite>; a file that is already there and current is not fetched again.
    Raises AptError with apt's own words when the archive or a package cannot be had.
    """
    return _with_lists(lab_dir, suite, "deb", lambda config, target: _fetch(config, target, packages))


def download_source(lab_dir: Path, suite: str, package: str) -> Path:
    """Fetch the upstream tarball (.orig.tar.*) of the source package `package` from `suite`, verified by apt; its path.

    Debian's own patches are left out. Kept and refreshed as by `download`. Raises AptError likewise.
    """
    return _with_lists(lab_dir, suite, "deb-src", lambda config, target: _fetch_source(config, target, package))


def unpack(deb: Path, target: Path) -> None:
    """Unpack a .deb's files below `target`, which is made; maintainer scripts are not run."""
    target.mkdir(parents=True, exist_ok=True)
    _run(["dpkg", "-x", str(deb), str(target)])


def unpack_fresh(deb: Path, target: Path) -> None:
    """Have `target` hold the files of this .deb and nothing else."""
    # Left alone when it is this very package, for a test run of another shell may be executing from it.
    name = target / ".package"
    if name.exists() and name.read_text() == deb.name:
        return
    # Renamed into place, so that a run that was cut off leaves no half directory under the final name.
    unfinished = target.with_name(target.name + ".new")
    for directory in (unfinished, target):
        if directory.exists():
            shutil.rmtree(directory)
    unpack(deb, unfinished)
    (unfinished / ".package").write_text(deb.name)
    unfinished.rename(target)


def version(deb: Path) -> str:
    """Debian version of a .deb, such as 1.7.24~ds1-6."""
    return _run(["dpkg-deb", "-f", str(deb), "Version"]).strip()


def upstream(debian_version: str) -> str:
    """The upstream part of a Debian version: epoch, repacking suffix and Debian revision cut off."""
    without_epoch = debian_version.rpartition(":")[2]
    return re.split(r"[~+]", without_epoch.rpartition("-")[0] or without_epoch)[0]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path` against other processes; waits for whoever holds it."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _with_lists(lab_dir: Path, suite: str, kind: str, fetch: Callable[[Path, Path], T]) -> T:
    """What `fetch` makes of an apt configuration for `suite` with current lists, and of the directory to fetch to."""
    base = (lab_dir / "apt" / (suite if kind == "deb" else f"{suite}-src")).resolve()
    for part in ("etc", "lists/partial", "cache/archives/partial", "debs"):
        (base / part).mkdir(parents=True, exist_ok=True)
    with locked(base / "lock"):
        config = _configure(base, suite, kind)
        stamp = base / "updated"
        fresh = stamp.exists() and time.time() - stamp.stat().st_mtime < LISTS_FRESH_S
        if not fresh:
            _update(config, stamp)
        try:
            return fetch(config, base / "debs")
        except AptError:
            if not fresh:
                raise
            # The suite moved on since the lists were fetched, and its old files are gone.
            _update(config, stamp)
            return fetch(config, base / "debs")


def _configure(base: Path, suite: str, kind: str) -> Path:
    source = derive(machine_sources(), machine_suite(), suite)
    (base / "etc" / "derived.sources").write_text(source.to_deb822(kind))
    (base / "status").touch()
    settings = {
        "Dir::Etc::SourceList": "/dev/null",
        "Dir::Etc::SourceParts": f"{base}/etc",
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": f"{base}/etc",
        "Dir::State": f"{base}",
        "Dir::State::Lists": f"{base}/lists",
        "Dir::State::Status": f"{base}/status",
        "Dir::State::Extended_States": f"{base}/extended_states",
        "Dir::Cache": f"{base}/cache",
        "Dir::Cache::Archives": f"{base}/cache/archives",
        # apt would fetch as the user _apt, who may not write into a checkout.
        "APT::Sandbox::User": "root",
    }
    config = base / "apt.conf"
    # Hooks of the machine (image minimising, appstream) act on the machine's own directories: not our business.
    cleared = ["APT::Update::Pre-Invoke", "APT::Update::Post-Invoke", "APT::Update::Post-Invoke-Success"]
    config.write_text(
        "".join(f"#clear {name};\n" for name in cleared)
        + "".join(f'{name} "{value}";\n' for name, value in settings.items())
    )
    return config


def _update(config: Path, stamp: Path) -> None:
    _run(["apt-get", "-c", str(config), "-q", "--error-on=any", "update"])
    stamp.touch()


def _fetch(config: Path, target: Path, packages: list[str]) -> list[Path]:
    apt = ["apt-get", "-c", str(config), "-q", "download"]
    # Asked in another directory, for apt leaves out what lies in the current one.
    uris = _run([*apt, "--print-uris", *packages], cwd=config.parent)
    # Each line: 'uri' name_version_architecture.deb size hash. apt writes a version's ":" as "%3a" in the name.
    names = [shlex.split(line)[1] for line in uris.splitlines() if line.startswith("'")]
    by_package = {name.partition("_")[0]: target / name for name in names}
    missing = [name for name in packages if name not in by_package]
    if missing:
        raise AptError(f"apt-get download: no file offered for {', '.join(missing)}; is the name right in this suite?")
    if not all(by_package[name].exists() for name in packages):
        _run([*apt, *packages], cwd=target)
    return [by_package[name] for name in packages]


def _fetch_source(config: Path, target: Path, package: str) -> Path:
    apt = ["apt-get", "-c", str(config), "-q", "source", "--download-only", "--tar-only"]
    uris = _run([*apt, "--print-uris", package], cwd=config.parent)
    names = [shlex.split(line)[1] for line in uris.splitlines() if line.startswith("'")]
    tarballs = [name for name in names if ".orig.tar." in name]
    if len(tarballs) != 1:
        raise AptError(f"apt-get source: expected one .orig tarball of {package}, got {', '.join(names) or 'nothing'}")
    if not (target / tarballs[0]).exists():
        _run([*apt, package], cwd=target)
    return target / tarballs[0]


def _run(command: list[str], cwd: Path | None = None) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        words = " | ".join((done.stderr or done.stdout).strip().splitlines()[-4:])
        raise AptError(f"{shlex.join(command)}: exit {done.returncode}: {words}")
    return done.stdout
