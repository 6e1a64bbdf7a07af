"""Cache and memory bandwidth through the runtime: three annotations of single containers, each a plain text.

    closid.rdt.noderesource.dev            the resctrl group; without a schemata the runtime expects that it exists
    schemata.rdt.noderesource.dev          lines of its schemata, separated by commas; the runtime makes the group
    enablemonitoring.rdt.noderesource.dev  true or false: a monitoring group of the container's own

A container with any of them is left out by the hook `rdt`, which would put it into the group of its class.
"""

from __future__ import annotations

from koordnri.hook import ContainerContext
from koordnri.model import injection
from koordnri.model.errors import NodeError
from koordnri.model.fields import INJECTED_RDT
from koordnri.model.injection import asked_by
from koordnri_hooks.injection.kind import Injecting, Kind

_NAME = injection.RDT_CLOSID.name
_ALL = (injection.RDT_CLOSID, injection.RDT_SCHEMATA, injection.RDT_MONITORING)
_TRUE, _FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")
"""what Go's ParseBool takes"""


def by_annotation(ctx: ContainerContext) -> str:
    """The annotation that decides the container's resctrl group instead of its class; "" when there is none."""
    asked = asked_by(ctx.pod)
    if not asked or _NAME not in asked or _NAME not in ctx.policy.injections:
        return ""
    found = (kind.written(ctx.pod, ctx.container.name) for kind in _ALL)
    return next((written[0] for written in found if written is not None), "")


def _closid(injecting: Injecting, text: str) -> None:
    if not text or "/" in text or text in (".", ".."):
        raise injecting.wrong(f'expected the name of a resctrl group, got "{text[:80]}"')
    _put(injecting, "closid", {"clos_id": {"value": text}}, text)


def _schemata(injecting: Injecting, text: str) -> None:
    lines = text.split(",")
    if not all(":" in line and "=" in line for line in lines):
        raise injecting.wrong(f'expected lines such as L3:0=ff, separated by commas, got "{text[:80]}"')
    _put(injecting, "schemata", {"schemata": {"value": lines}}, text)


def _monitoring(injecting: Injecting, text: str) -> None:
    if text not in _TRUE and text not in _FALSE:
        raise injecting.wrong(f'expected true or false, got "{text[:80]}"')
    _put(injecting, "monitoring", {"enable_monitoring": {"value": text in _TRUE}}, str(text in _TRUE).lower())


def _put(injecting: Injecting, key: str, content: dict[str, object], text: str) -> None:
    if injecting.ctx.node.resctrl is None:
        raise NodeError(
            f"annotation {injecting.key}", "this node has no resctrl, and the runtime would refuse the container"
        )
    injecting.put(INJECTED_RDT, {"linux": {"rdt": content}}, text, key)


KINDS = tuple(
    Kind(of, (INJECTED_RDT,), str, give) for of, give in zip(_ALL, (_closid, _schemata, _monitoring), strict=True)
)
