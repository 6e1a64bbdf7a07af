"""Every code of `koordnri doctor`. A code keeps its meaning for good; docs/use/doctor.md has an entry for each."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

PAGE = "docs/use/doctor.md"


class Severity(Enum):
    """How bad a finding is."""

    ERROR = "error"
    """koordnri cannot do its work"""
    WARNING = "warning"
    """part of it has no effect, or fails under load"""
    INFO = "info"
    """nothing is wrong; a feature is not there, or is left to somebody else"""


class CodeMeaning(NamedTuple):
    """What a code means."""

    severity: Severity
    title: str


_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFO

CODES = {
    # the container runtime
    "KN0101": CodeMeaning(_E, "NRI is off in the runtime"),
    "KN0102": CodeMeaning(_E, "the runtime's NRI socket is at another path"),
    "KN0103": CodeMeaning(_E, "there is no NRI socket"),
    "KN0104": CodeMeaning(_E, "the runtime takes no connections of NRI plugins"),
    "KN0105": CodeMeaning(_E, "the runtime is too old for NRI"),
    "KN0106": CodeMeaning(_W, "a registration can freeze the runtime"),
    "KN0107": CodeMeaning(_I, "koordnri cannot push updates at any time"),
    "KN0108": CodeMeaning(_W, "crun makes 1 % of a CPU of a lifted quota"),
    "KN0109": CodeMeaning(_I, "runc writes a unified value in one piece"),
    "KN0110": CodeMeaning(_I, "the runtime ignores CDI devices"),
    "KN0111": CodeMeaning(_W, "the runtime's configuration cannot be parsed"),
    "KN0112": CodeMeaning(_W, "no container runtime was found"),
    "KN0113": CodeMeaning(_E, "the container runtime does not run"),
    "KN0114": CodeMeaning(_I, "while koordnri does not answer, containers are created in spite of failurePolicy: fail"),
    # time
    "KN0201": CodeMeaning(_W, "koordnri answers too late"),
    "KN0202": CodeMeaning(_W, "the request timeout is short for the measured latency"),
    "KN0203": CodeMeaning(_W, "the request timeout is shorter than the default"),
    # kubelet
    "KN0301": CodeMeaning(_I, "kubelet's CPU manager is static"),
    "KN0302": CodeMeaning(_I, "kubelet's memory manager is static"),
    "KN0303": CodeMeaning(_E, "kubelet and the runtime use different cgroup drivers"),
    "KN0304": CodeMeaning(_E, "kubelet makes no cgroups for QoS classes and pods"),
    "KN0305": CodeMeaning(_I, "kubelet has replaced its CPU manager's state since it was mounted"),
    "KN0306": CodeMeaning(_W, "kubelet's CPU manager state cannot be seen"),
    # cgroups
    "KN0401": CodeMeaning(_E, "no cgroups were found"),
    "KN0402": CodeMeaning(_W, "the node uses cgroup v1"),
    "KN0403": CodeMeaning(_W, "a cgroup controller is missing"),
    "KN0404": CodeMeaning(_E, "cgroups cannot be written"),
    "KN0405": CodeMeaning(_W, "there are cgroups of both cgroup drivers"),
    # kernel
    "KN0501": CodeMeaning(_I, "resctrl is not mounted"),
    "KN0502": CodeMeaning(_I, "resctrl cannot be written"),
    "KN0503": CodeMeaning(_W, "no resctrl class of service is left"),
    "KN0504": CodeMeaning(_I, "the kernel keeps no pressure stall information"),
    "KN0505": CodeMeaning(_W, "the kernel allows few inotify watches"),
    # other programs
    "KN0601": CodeMeaning(_W, "another agent writes the same settings"),
    "KN0602": CodeMeaning(_W, "two koordnri daemons run on this node"),
    # what koordnri itself needs
    "KN0701": CodeMeaning(_E, "koordnri does not run as root"),
    "KN0702": CodeMeaning(_W, "the state directory cannot be written"),
    "KN0703": CodeMeaning(_E, "the host's /proc and /sys are not there"),
    "KN0704": CodeMeaning(_W, "a file of the host is not as expected"),
    # the runtime's validator
    "KN0801": CodeMeaning(_W, "the runtime requires koordnri, and does not let its own pod start"),
    "KN0802": CodeMeaning(_W, "the runtime requires a plugin of another name"),
    "KN0803": CodeMeaning(_I, "the runtime creates containers without koordnri"),
    # the daemon
    "KN0901": CodeMeaning(_W, "the daemon is not running"),
    "KN0902": CodeMeaning(_W, "the daemon does not answer"),
    "KN0903": CodeMeaning(_E, "the daemon is not ready"),
    "KN0904": CodeMeaning(_W, "the daemon works with a problem"),
}


class Finding(NamedTuple):
    """One thing that was found."""

    code: str
    object: str
    """file, program or setting that it is about"""
    cause: str
    """what was read, and what follows from it"""
    fix: str
    """what to do: exact lines, and where they go"""

    @property
    def severity(self) -> Severity:
        """That of its code."""
        return CODES[self.code].severity

    def as_json(self) -> dict[str, str]:
        """For `-o json`."""
        code = CODES[self.code]
        return {
            "code": self.code,
            "severity": code.severity.value,
            "title": code.title,
            "object": self.object,
            "cause": self.cause,
            "fix": self.fix,
            "link": self.link,
        }

    @property
    def link(self) -> str:
        """Its entry in the docs."""
        return f"{PAGE}#{self.code.lower()}"
