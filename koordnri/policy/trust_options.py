"""`koordnri-config.trust`: which inputs of a pod are believed, and of whom."""

from __future__ import annotations

from typing import Annotated, Literal

from koordnri.policy.reader import Document
from koordnri.policy.scalars import TextForm
from koordnri.policy.units import Namespace, Text

TrustMode = Literal["enforce", "observe", "off"]

SERVICE_ACCOUNT = TextForm(
    "a service account as NAMESPACE/NAME",
    "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$",
)
ServiceAccount = Annotated[str, SERVICE_ACCOUNT]


class Believed(Document, frozen=True, forbid_unknown_fields=True):
    """Pods of which an input is believed: those that one of the lists names. Static pods are always believed, since root of the node wrote
    them."""

    schedulers: tuple[Text, ...] = ()
    """Values of the pod's `schedulerName`."""
    namespaces: tuple[Namespace, ...] = ()
    """Names of namespaces."""
    service_accounts: tuple[ServiceAccount, ...] = ()
    """Service accounts that pods run as: NAMESPACE/NAME."""


class ResourceStatusTrust(Believed, frozen=True, forbid_unknown_fields=True):
    """Who may assign CPUs by the annotation `scheduling.koordinator.sh/resource-status`. Nobody gets more CPUs by it than the pod
    requests."""

    schedulers: tuple[Text, ...] = ("koord-scheduler",)
    """Values of the pod's `schedulerName`."""


class TrustOptions(Document, frozen=True, forbid_unknown_fields=True):
    """What is believed of the annotations and labels of a pod, which whoever creates the pod can write."""

    mode: TrustMode = "enforce"
    """observe: all is believed; what would be refused is logged, counted, and shown by `explain`. off: all is believed."""
    without_spec: Literal["refuse", "believe"] = "refuse"
    """For pods whose spec is not known, so that neither scheduler nor requests are. refuse: until it is known, nothing is believed that
    needs it. believe: for clusters that run Koordinator and give koordnri no access to the API server."""
    resource_status: ResourceStatusTrust = ResourceStatusTrust()
    """CPUs that a scheduler assigned."""
