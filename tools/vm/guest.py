"""What we add to Debian's packages inside the guest: who starts the job, and how its result leaves the machine."""

from __future__ import annotations

JOB = "/usr/lib/koordnri-lab/job"
"""The program that runs the job; a unit of systemd, or init itself."""

PYTHON = "3.13"
"""Version of trixie's python3."""

PACKAGES_DIR = f"/usr/local/lib/python{PYTHON}/dist-packages"
"""On sys.path of Debian's Python without any environment, which a plugin started by containerd does not get."""

PATH_FILE_TEXT = "/job/repo\n/job/repo/hooks\n/job/site\n"
"""Directories of the job on sys.path, as a .pth file: the checkout under test is the one that the job brings."""

# Root, job and result are the disks vda, vdb and vdc, in the order in which machine.py names them to QEMU.
INIT_SCRIPT = """#!/bin/busybox sh
export PATH=/bin
busybox mount -t devtmpfs dev /dev
busybox mount -t proc proc /proc
for module in /lib/*.ko; do busybox insmod "$module" || echo "initrd: $module not loaded"; done
tries=0
while [ ! -b /dev/vdc ] && [ $tries -lt 200 ]; do busybox sleep 0.05; tries=$((tries + 1)); done
busybox mount -t ext4 -o noatime /dev/vda /mnt || busybox poweroff -f
init=/sbin/init
for word in $(busybox cat /proc/cmdline); do
  case $word in lab.init=*) init=${word#lab.init=} ;; esac
done
busybox umount /proc
busybox mount --move /dev /mnt/dev
exec busybox switch_root /mnt $init
"""

JOB_SCRIPT = """#!/bin/sh
# Runs /job/run; its exit code and everything it put in /out leave as a tar on the last disk.
exec >/dev/console 2>&1 </dev/null
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin HOME=/root LANG=C.UTF-8
if [ $$ = 1 ]; then
  # Started as init, without systemd: only what a job cannot do without.
  mount -t proc proc /proc
  mount -t sysfs sys /sys
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  mkdir -p /dev/pts /dev/shm
  mount -t devpts devpts /dev/pts
  mount -t tmpfs tmpfs /dev/shm
  mount -t tmpfs tmpfs /run
  ip link set lo up
fi
limit=0
for word in $(cat /proc/cmdline); do
  case $word in lab.limit=*) limit=${word#lab.limit=} ;; esac
done
mount -t tmpfs tmpfs /out
mount -t ext4 -o noatime /dev/vdb /job
cd /job
echo "lab: job starts after $(cut -d' ' -f1 /proc/uptime) s"
# 124 is timeout's own way to say that the time was up. Interrupted, pytest still writes its report.
timeout --signal=INT --kill-after=10 "$limit" ./run
code=$?
echo "lab: job ends with $code after $(cut -d' ' -f1 /proc/uptime) s"
mkdir -p /out/.lab
echo $code >/out/.lab/exit
if [ $$ != 1 ] && [ $code != 0 ]; then
  journalctl --boot --no-pager --output=short-monotonic >/out/.lab/journal.txt 2>&1
fi
tar -C /out -cf /dev/vdc . && sync
systemctl poweroff --force --force
"""

JOB_UNIT = f"""[Unit]
Description=The job of this machine
After=basic.target dbus.socket
Wants=dbus.socket

[Service]
Type=exec
ExecStart={JOB}
TasksMax=infinity
# As in containerd's own unit; it also makes systemd enable every controller down to here, as on any node.
Delegate=yes
"""

TARGET_UNIT = """[Unit]
Description=Just enough for a job
Requires=basic.target lab-job.service
After=basic.target
"""

MASKED_UNITS = (
    # Kernel interfaces that need modules we do not ship, or that nobody here reads.
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "proc-sys-fs-binfmt_misc.automount",
    "proc-sys-fs-binfmt_misc.mount",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    # House-keeping of machines that live longer than a minute; each costs 0.2-0.4 s without KVM.
    "ldconfig.service",
    "modprobe@.service",
    "systemd-binfmt.service",
    "systemd-firstboot.service",
    "systemd-hwdb-update.service",
    "systemd-journal-catalog-update.service",
    "systemd-journal-flush.service",
    "systemd-machine-id-commit.service",
    "systemd-modules-load.service",
    "systemd-pcrmachine.service",
    "systemd-random-seed.service",
    "systemd-remount-fs.service",
    "systemd-sysusers.service",
    "systemd-tmpfiles-setup.service",
    "systemd-update-utmp.service",
    # Containers' files on the root disk, not in the little memory that there is.
    "tmp.mount",
)
