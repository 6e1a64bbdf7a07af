"""Number types of the schema: ranges and spellings that several keys share."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from koordnri.model.cpuset import CPUSet
from koordnri.policy.scalars import CORE_OR_COUNT, CPU_LIST, NAMESPACE, PERCENT_OR_QUANTITY, QUANTITY

Percent = Annotated[int, Meta(ge=0, le=100)]
Switch = Annotated[int, Meta(ge=0, le=1)]
"""A bool as the kernel and Koordinator write it: 0 or 1."""
NotNegative = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Quantity = Annotated[int, Meta(ge=0), QUANTITY]
"""A number or a Kubernetes quantity, in whole units."""
Share = Annotated[int | str, PERCENT_OR_QUANTITY]
"""An integer is a percent of the node's bandwidth, text a quantity in bits/s."""
CoreOrCount = Annotated[int | str, CORE_OR_COUNT]
"""`core`: as many CPUs as a core has threads."""
Text = Annotated[str, Meta(min_length=1)]
Namespace = Annotated[str, NAMESPACE]
CPUList = Annotated[CPUSet, CPU_LIST]
"""The kernel's list format, never empty."""
