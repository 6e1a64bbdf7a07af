"""Vendors of accelerators, as data: the variables by which a container gets its devices, and the vendor's CDI kind.

No vendor documents all of this in one place. The names are those of the container runtimes of NVIDIA, AMD, Huawei, Cambricon and Habana,
of MetaX, and of Intel's Level Zero. A policy may replace each entry as a whole, and add others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Final

from msgspec import field

from koordnri.policy.errors import shown
from koordnri.policy.reader import Document
from koordnri.policy.scalars import TextForm
from koordnri.policy.units import Text

NVIDIA: Final = "nvidia"
"""The vendor if neither the policy nor the node's label names one."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_PLACEHOLDER = re.compile(r"\{[^{}]*\}?|\}")
_PLACEHOLDERS = ("{minors}", "{uuids}", "{devices}")
_DNS = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"
_CDI_KIND = TextForm("vendor/class such as nvidia.com/gpu", rf"^{_DNS}/[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?$")
_DOMAIN = TextForm("a domain such as nvidia.com", rf"^{_DNS}$")


class GPUVendor(Document, frozen=True, forbid_unknown_fields=True):
    """How one vendor's devices are given to a container."""

    env: dict[str, Text] = field(default_factory=dict)
    """Variable → value. `{minors}` and `{uuids}` stand for the pod's devices, separated by commas; `{devices}` for the one of the two that
    `identify` selects."""
    cdi_kind: Annotated[str, _CDI_KIND] | None = None
    """Vendor and class of its CDI devices, such as nvidia.com/gpu; None: no CDI, so that `inject: cdi` uses env."""
    env_beside_cdi: dict[str, Text] = field(default_factory=dict, name="envBesideCDI")
    """Set together with CDI devices, so that the vendor's own runtime adds none, whatever the image asks for."""
    shares: bool = False
    """Whether a share of a device is given like a whole one, since HAMi-core can enforce it; otherwise left to the device plugin."""
    resource_domains: tuple[Annotated[str, _DOMAIN], ...] = ()
    """Extended resources of these domains count as a request for its devices, like koordinator.sh/gpu and its variants."""

    def check(self) -> Iterator[tuple[str, str]]:
        for key, variables in (("env", self.env), ("envBesideCDI", self.env_beside_cdi)):
            for name, value in variables.items():
                if not _VARIABLE.fullmatch(name):
                    yield f"{key}.{name}", f"expected the name of an environment variable, got {shown(name)}"
                if "\0" in value:
                    yield f"{key}.{name}", "expected text without NUL"
                for found in _PLACEHOLDER.findall(value):
                    if found not in _PLACEHOLDERS:
                        yield f"{key}.{name}", f"expected {', '.join(_PLACEHOLDERS)}, got {shown(found)}"


VENDORS: Final = {
    NVIDIA: GPUVendor(
        {"NVIDIA_VISIBLE_DEVICES": "{devices}"},
        "nvidia.com/gpu",
        {"NVIDIA_VISIBLE_DEVICES": "void"},
        shares=True,
        resource_domains=("nvidia.com",),
    ),
    # Not also ROCR_VISIBLE_DEVICES: it counts, from 0, only the devices that AMD's runtime has put into the container.
    "amd": GPUVendor(
        {"AMD_VISIBLE_DEVICES": "{devices}"},
        "amd.com/gpu",
        {"AMD_VISIBLE_DEVICES": "none"},
        resource_domains=("amd.com",),
    ),
    "huawei": GPUVendor({"ASCEND_VISIBLE_DEVICES": "{minors}"}, resource_domains=("huawei.com",)),
    "cambricon": GPUVendor({"CAMBRICON_VISIBLE_DEVICES": "{minors}"}, resource_domains=("cambricon.com",)),
    "metax": GPUVendor({"METAX_VISIBLE_DEVICES": "{minors}"}, resource_domains=("metax-tech.com",)),
    "habana": GPUVendor({"HABANA_VISIBLE_DEVICES": "{minors}"}, resource_domains=("habana.ai",)),
    # Read by Level Zero in the process: it hides devices but does not protect them.
    "intel": GPUVendor({"ZE_AFFINITY_MASK": "{minors}"}, resource_domains=("intel.com", "gpu.intel.com")),
}
"""By the node's label node.koordinator.sh/gpu-vendor, in lower case."""
