"""Reads a CreateContainer request: what a container is created with only for the few hooks that ask, as that takes time."""

from __future__ import annotations

from collections.abc import Sequence

from koordnri.chain import Snapshot
from koordnri.model.container import Creation
from koordnri.model.decision import NEW
from koordnri.model.injection import OCI_HOOKS, WRITABLE_CGROUPS
from koordnri.wire import views_pb2 as views

CreateRequest = views.CreateContainerRequest | views.WholeCreateContainerRequest


def is_needed(snapshot: Snapshot) -> bool:
    """Whether a kind of injection asks what containers are created with: one that the policy switches on, and that this node has something
    for.
    """
    injections = snapshot.policy.injections
    if not injections:
        return False
    return WRITABLE_CGROUPS.name in injections or (OCI_HOOKS.name in injections and bool(snapshot.node.oci_hooks))


def request_of(payload: bytes, snapshot: Snapshot) -> tuple[CreateRequest, Creation | None]:
    """The request, and what the container is created with, if that is needed. Raises DecodeError."""
    if not is_needed(snapshot):
        return views.CreateContainerRequest.FromString(payload), None
    request = views.WholeCreateContainerRequest.FromString(payload)
    return request, NEW(Creation, (request.container, payload, _mounts))


def _mounts(payload: bytes) -> Sequence[views.WholeMount]:
    return views.CreationMounts.FromString(payload).container.mounts
