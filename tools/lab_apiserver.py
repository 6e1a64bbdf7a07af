"""A real API server for the tests: etcd from a Debian package, kube-apiserver built from Debian's source package.

    python tools/lab_apiserver.py             make them, or return at once when they are there
    python tools/lab_apiserver.py kubelet     and kubelet, which no test needs, for trying things out by hand

The source package `kubernetes` of Debian 12 is the whole upstream tree with its dependencies (Debian itself builds only
kubectl from it, and later suites carry nothing else), and Debian 12's Go compiles it; newer ones do not. Two minutes on
two cores, 1 GB of disk meanwhile, 100 MB in the end.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from lab import apt

ROOT = Path(__file__).resolve().parent.parent
LAB_DIR = Path(os.environ.get("KOORDNRI_LAB_DIR") or ROOT / ".cache" / "lab").resolve()

SOURCE_SUITE = "bookworm"
GO_PACKAGES = ["golang-1.19-go", "golang-1.19-src"]
GO = Path("usr/lib/go-1.19")
ETCD_SUITE = "trixie"
TAGS = "providerless,dockerless"
"""Without the clouds' drivers and Docker's: three fifths of the time, half the size."""
MODULE = "k8s.io/kubernetes"
OPENAPI = "pkg/generated/openapi"
MENDED = "mended"
"""stamp: the commands were built with `_mend_map_iteration`"""


def setup(lab_dir: Path, *more: str) -> None:
    """Have `lab_dir`/etcd and `lab_dir`/kubernetes/kube-apiserver, and the further commands of Kubernetes named in `more`.

    Raises apt.AptError, OSError or CalledProcessError (with the compiler's output) when something cannot be had.
    """
    target = lab_dir / "kubernetes"
    target.mkdir(parents=True, exist_ok=True)
    with apt.locked(target / "lock"):
        if not (lab_dir / "etcd").exists():
            (deb,) = apt.download(lab_dir, ETCD_SUITE, ["etcd-server"])
            apt.unpack_fresh(deb, lab_dir / "etcd")
        mended = (target / MENDED).exists()
        missing = [name for name in ("kube-apiserver", *more) if not (mended and (target / name).exists())]
        if missing:
            work = target / "build"
            _remove(work)
            try:
                _build(lab_dir, missing, work, target)
                (target / MENDED).touch()
            finally:
                _remove(work)


def _build(lab_dir: Path, commands: list[str], work: Path, target: Path) -> None:
    for deb in apt.download(lab_dir, SOURCE_SUITE, GO_PACKAGES):
        apt.unpack(deb, work / "go")
    tarball = apt.download_source(lab_dir, SOURCE_SUITE, "kubernetes")
    # Where a GOPATH has it: the generator below looks up packages in no other way.
    source = work / "path" / "src" / MODULE
    source.mkdir(parents=True)
    subprocess.run(["tar", "-xzf", tarball, "-C", source, "--strip-components=1"], check=True)
    _mend_map_iteration(source / "vendor/github.com/modern-go/reflect2")
    go = work / "go" / GO
    # Nothing from outside the two packages: no user settings, no toolchain or modules over the network.
    environment = {
        "HOME": str(work),
        "PATH": f"{go}/bin:{os.environ['PATH']}",
        "GOROOT": str(go),
        "GOPATH": str(work / "path"),
        "GOCACHE": str(work / "cache"),
        "GO111MODULE": "off",
        "CGO_ENABLED": "0",
    }

    def run(*command: str | Path) -> None:
        subprocess.run(command, check=True, cwd=source, env=environment)

    generator = work / "openapi-gen"
    run(go / "bin" / "go", "build", "-o", generator, f"{MODULE}/vendor/k8s.io/kube-openapi/cmd/openapi-gen")
    run(
        generator,
        *("--logtostderr", "--input-dirs", ",".join(_described(source)), "--report-filename", work / "report"),
        *("--output-package", f"{MODULE}/{OPENAPI}", "--output-file-base", "zz_generated.openapi"),
        *("--go-header-file", source / "vendor/k8s.io/code-generator/hack/boilerplate.go.txt"),
    )
    for command in commands:
        built = work / command
        flags = f"-s -w {_version_flags(source)}"
        run(go / "bin" / "go", "build", "-tags", TAGS, "-ldflags", flags, "-o", built, f"{MODULE}/cmd/{command}")
        # Renamed into place, so that a run that was cut off leaves no half file under the final name.
        built.rename(target / command)


def _mend_map_iteration(package: Path) -> None:
    """Let the JSON library iterate over maps as Go 1.18 and later do it: the caller has the iterator. Otherwise the API server dies of any
    object whose kind somebody defined.
    """
    _replace(
        package / "unsafe_link.go",
        ("m unsafe.Pointer) *hiter", "m unsafe.Pointer, it *hiter)"),
        ("\t// rest fields are ignored\n", "\trest [16]uintptr\n"),
    )
    _replace(
        package / "unsafe_map.go",
        (
            "\treturn &UnsafeMapIterator{",
            "\tit := new(hiter)\n\tmapiterinit(type2.rtype, *(*unsafe.Pointer)(obj), it)\n\treturn &UnsafeMapIterator{",
        ),
        ("mapiterinit(type2.rtype, *(*unsafe.Pointer)(obj)),", "it,"),
    )


def _replace(file: Path, *replacements: tuple[str, str]) -> None:
    text = file.read_text()
    for old, new in replacements:
        if old not in text:
            raise OSError(f"{file.name} of the source package kubernetes: expected {old!r}, found none")
        text = text.replace(old, new)
    file.write_text(text)


def _described(source: Path) -> list[str]:
    """Packages that ask to be in the OpenAPI description, the one generated file that the source package lacks."""
    found = set()
    for top, prefix in (("staging/src/k8s.io", "vendor/k8s.io"), ("pkg", "pkg")):
        for file in (source / top).rglob("*.go"):
            package = file.parent.relative_to(source / top)
            if (
                package.parts[0] not in ("code-generator", "sample-apiserver")
                and "+k8s:openapi-gen=" in file.read_text()
            ):
                found.add(f"{MODULE}/{prefix}/{package}")
    return sorted(found)


def _version_flags(source: Path) -> str:
    """Linker flags by which the commands know their version; kubelet and the API server compare theirs."""
    script = "hack/lib/version.sh"
    tag = re.search(r"tag: (v(\d+)\.(\d+)\.\d+)'", (source / script).read_text())
    if tag is None:
        raise OSError(f"{script} of the source package kubernetes: expected a tag like v1.20.2, found none")
    values = dict(zip(("gitVersion", "gitMajor", "gitMinor"), tag.groups(), strict=True))
    packages = ("client-go/pkg/version", "component-base/version")
    return " ".join(f"-X {MODULE}/vendor/k8s.io/{p}.{key}={text}" for p in packages for key, text in values.items())


def _remove(directory: Path) -> None:
    if directory.exists():
        shutil.rmtree(directory)


if __name__ == "__main__":
    setup(LAB_DIR, *sys.argv[1:])
