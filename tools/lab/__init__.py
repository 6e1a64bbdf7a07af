"""What lab_setup.py and lab_vm.py share: fetching Debian packages of other suites and packing small images.

Nothing here is part of the product; it needs Debian's apt-get and dpkg, and the Python standard library only.
"""
