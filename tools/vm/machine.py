"""One run of the virtual machine: a directory goes in, a directory and an exit code come out."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from . import disk, guest

SHUTDOWN_S = 20
"""Taken off the time limit inside, so that a job that hangs is ended in there and its files still come out."""
RESULT_BYTES = 64 << 20
JOB_SPARE_BYTES = 96 << 20
"""Room that the job finds on its own disk, /job."""

# An Intel model, for with AMD's QEMU without KVM gives every CPU its own cache ids. Switched off is what it cannot
# emulate (pcid and on), and what only costs here: string instructions run byte by byte (erms), and every access of
# the kernel to user memory would switch page tables (smap, smep). Without them a test takes a fifth less.
CPU = "Haswell-noTSX,-erms,-pcid,-invpcid,-tsc-deadline,-smap,-smep"
_TOPOLOGY = (
    *("-smp", "8,sockets=2,cores=2,threads=2", "-m", "2G"),
    *("-object", "memory-backend-ram,id=memory0,size=1G", "-object", "memory-backend-ram,id=memory1,size=1G"),
    *("-numa", "node,nodeid=0,cpus=0-3,memdev=memory0", "-numa", "node,nodeid=1,cpus=4-7,memdev=memory1"),
)


class VMError(Exception):
    """The machine did not bring a result home; the message has the last lines of its console."""


def lacks(lab_dir: Path) -> str | None:
    """Why no machine can run here, or None when one can."""
    if os.geteuid() != 0:
        return "not root: files of root go into the virtual machine's disks"
    needed = [lab_dir / "vm" / name for name in ("qemu/usr/bin/qemu-system-x86_64", "kernel/vmlinuz", "disk/root.ext4")]
    absent = [str(path) for path in needed if not path.exists()]
    return f"laboratory incomplete, no {', '.join(absent)}: run python tools/lab_setup.py" if absent else None


def run_job(
    lab_dir: Path,
    job_dir: Path,
    out_dir: Path,
    timeout_s: float,
    systemd: bool = True,
    one_core: bool = False,
    host_address: str = "",
) -> int:
    """Boot, execute `job_dir`/run (it finds job_dir at /job), and unpack what it left in /out into `out_dir`.

    Returns the exit code of run, 124 when it did not end in time. out_dir/console.log has all that the machine printed;
    out_dir/.lab/journal.txt systemd's journal of a job that failed. The job sees 8 CPUs as 2 sockets of 2 cores of
    2 threads on 2 NUMA nodes and cgroup v2; without `systemd` the job's runner is init, which boots faster. With
    `one_core` QEMU emulates all of them on one thread: where as many machines run as there are cores outside, each gets
    its work done with a quarter less CPU time, for nothing has to be agreed between threads. With `host_address`, an IPv4
    address, there is a network card (eth0, down); who gives it another address of that /24 reaches this host's 127.0.0.1 there.
    Raises VMError when the machine itself hangs beyond timeout_s seconds, crashes, or brings no result.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    console = out_dir / "console.log"
    vm_dir = lab_dir / "vm"
    reason = lacks(lab_dir)
    if reason is not None:
        raise VMError(reason)
    _sweep(vm_dir)
    with tempfile.TemporaryDirectory(prefix=f"run-{os.getpid()}-", dir=vm_dir) as temporary:
        job, result = Path(temporary, "job.ext4"), Path(temporary, "result.tar")
        disk.pack(job_dir, job, JOB_SPARE_BYTES)
        with result.open("wb") as file:
            file.truncate(RESULT_BYTES)
        command = _command(vm_dir, job, result, [f"lab.limit={max(1, int(timeout_s - SHUTDOWN_S))}"], systemd, one_core)
        if host_address:
            command += ["-netdev", f"user,id=host,ipv6=off,net={host_address}/24,host={host_address}"]
            # Nobody boots from it.
            command += ["-device", "virtio-net-pci,netdev=host,romfile="]
        _boot(command, console, timeout_s, Path(temporary))
        try:
            with tarfile.open(result) as archive:
                archive.extractall(out_dir, filter="data")
            return int((out_dir / ".lab" / "exit").read_text())
        except (tarfile.TarError, OSError, ValueError) as error:
            raise VMError(f"virtual machine: no result on its last disk ({error}); {_tail(console)}") from error


def _sweep(vm_dir: Path) -> None:
    """Remove the disks of runs whose process was killed before it could."""
    for directory in vm_dir.glob("run-*-*"):
        if not Path("/proc", directory.name.split("-")[1]).exists():
            shutil.rmtree(directory, ignore_errors=True)


def _boot(command: list[str], console: Path, timeout_s: float, temporary: Path) -> None:
    with console.open("wb") as output:
        machine = subprocess.Popen(
            # Should this process be killed, the machine must not go on for ever.
            ["setpriv", "--pdeathsig", "KILL", "--", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # The snapshot of the root disk is written there, and goes away with it.
            env={**os.environ, "TMPDIR": str(temporary)},
        )
        try:
            code = machine.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise VMError(f"virtual machine: still running after {timeout_s:g} s; {_tail(console)}") from None
        finally:
            if machine.poll() is None:
                machine.kill()
                machine.wait()
    if code != 0:
        raise VMError(f"virtual machine: QEMU ended with {code}, expected 0; {_tail(console)}")


def _command(vm_dir: Path, job: Path, result: Path, words: list[str], systemd: bool, one_core: bool) -> list[str]:
    usr = vm_dir / "qemu" / "usr"
    # Its own loader and libraries, so that it runs on an older C library.
    qemu = [f"{usr}/lib64/ld-linux-x86-64.so.2", "--library-path", f"{usr}/lib/x86_64-linux-gnu"]
    qemu += [f"{usr}/bin/qemu-system-x86_64", "-L", f"{usr}/share/qemu", "-L", f"{usr}/share/seabios"]
    # rep_good is the kernel's word for string instructions by words; init_on_alloc would clear pages that are cleared.
    kernel = [
        "console=ttyS0",
        "root=/dev/vda",
        "panic=-1",
        "quiet",
        "mitigations=off",
        "tsc=reliable",
        "clearcpuid=rep_good,erms",
        "init_on_alloc=0",
        "apparmor=0",
        "selinux=0",
        "audit=0",
        "systemd.show_status=0",
        *words,
    ]
    if not systemd:
        kernel.append(f"lab.init={guest.JOB}")
    accelerator = f"tcg,thread={'single' if one_core else 'multi'}"
    disks = []
    for image, options in ((vm_dir / "disk" / "root.ext4", "snapshot=on,"), (job, ""), (result, "")):
        disks += ["-drive", f"if=virtio,format=raw,cache=unsafe,{options}file={image}"]
    return [
        *qemu,
        *("-M", "q35", "-accel", accelerator, "-cpu", CPU, "-nodefaults", "-nographic", "-no-reboot"),
        *("-serial", "stdio", *_TOPOLOGY, *disks),
        *("-kernel", f"{vm_dir}/kernel/vmlinuz", "-initrd", f"{vm_dir}/kernel/initrd", "-append", " ".join(kernel)),
    ]


def _tail(console: Path, lines: int = 15) -> str:
    text = console.read_text(errors="replace").replace("\r", "") if console.exists() else ""
    return "last lines of its console:\n" + "\n".join(text.splitlines()[-lines:])
