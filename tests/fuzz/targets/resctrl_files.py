"""Any files below /sys/fs/resctrl: lines, threads and counters as far as they can be understood, or ResctrlRefused; never another error."""

from __future__ import annotations

import contextlib

from koordnri.host.resctrl_groups import ResctrlRefused, ResctrlTree
from koordnri.model.schemata import line, parse
from tests.fuzz.trees import tree


def check(data: bytes) -> None:
    """The files of resctrl, see `tree`; the whole text is also read as one schemata file."""
    for resource, values in parse(data.decode(errors="replace")).items():
        line(resource, values)
    with tree(data) as root:
        groups = ResctrlTree(root)
        for group in groups.groups() or ():
            for question in (groups.schemata, groups.tasks, groups.readings):
                with contextlib.suppress(ResctrlRefused):
                    question(group)
        with contextlib.suppress(ResctrlRefused):
            groups.threads("kubepods", 2)
