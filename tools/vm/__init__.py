"""A small virtual machine for the tests: cgroup v2, systemd, 8 CPUs on 2 NUMA nodes; needs QEMU but no KVM.

build.py makes what boots (QEMU, kernel, initrd, root file system) of Debian packages; machine.py runs one job in it.
Nothing here is part of the product, and the machine it runs on keeps its own packages as they are.
"""
