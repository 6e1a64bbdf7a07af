"""What others know of the node, and the sampler passes on to controllers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Around(NamedTuple):
    """What a tick takes from others."""

    applications: Mapping[str, str] = MappingProxyType({})
    """name of a host application → its cgroup"""
    be_allocatable_milli: int | None = None
    """batch-cpu that the Node offers; None: none, or unknown"""
    be_allocatable_bytes: int | None = None
    """the same of batch-memory"""
    mid_allocatable_milli: int | None = None
    """the same of mid-cpu"""
    mid_allocatable_bytes: int | None = None
    """the same of mid-memory"""
    reserved_milli: int = 0
    """CPU that kubelet keeps from pods; 0: none, or unknown"""


NOTHING_AROUND = Around()
