"""What a container is created with is read for the hooks that ask for it, and for no other."""

from __future__ import annotations

import pytest

from koordnri.chain import Snapshot
from koordnri.model import NodeState
from koordnri.model.oci_hook import OCIHook, When
from koordnri.model.oci_hooks import OCIHooks
from koordnri.session.creation import is_needed, request_of
from koordnri.wire import api_pb2 as api
from tests.support import messages
from tests.support.policies import policy_of

HOOK = OCIHook("a.json", "/bin/a", (), (), None, ("prestart",), When(always=True))
HOOKED = NodeState(oci_hooks=OCIHooks((HOOK,)))


def snapshot(*kinds: str, node: NodeState) -> Snapshot:
    everybody = {kind: {"namespaces": ["shop"]} for kind in kinds}
    return Snapshot.of(policy_of(koordnri_config={"trust": {"injection": everybody}}), node)


@pytest.mark.parametrize(
    ("kinds", "node", "needed"),
    [
        ((), HOOKED, False),
        (("devices", "mounts"), HOOKED, False),
        (("ociHooks",), NodeState(), False),
        (("ociHooks",), HOOKED, True),
        (("writableCgroups", "rdt"), NodeState(), True),
    ],
)
def test_two_kinds_ask_for_it_where_there_is_something_for_them(
    kinds: tuple[str, ...], node: NodeState, needed: bool
) -> None:
    assert is_needed(snapshot(*kinds, node=node)) is needed


def test_command_annotations_and_mounts_are_read() -> None:
    container = messages.container("c1", annotations={"a": "b"})
    container.args.extend(["sh", "-c", "true"])
    container.mounts.add(destination="/data", source="/srv", type="bind", options=["ro"])
    payload = api.CreateContainerRequest(container=container).SerializeToString()
    request, creation = request_of(payload, snapshot("ociHooks", node=HOOKED))
    assert (request.container.id, request.container.pod_sandbox_id) == (container.id, container.pod_sandbox_id)
    assert creation is not None
    assert (tuple(creation.container.args), dict(creation.container.annotations)) == (("sh", "-c", "true"), {"a": "b"})
    (mount,) = creation.mounts()
    assert (mount.destination, mount.source, mount.type, list(mount.options)) == ("/data", "/srv", "bind", ["ro"])


def test_where_no_hook_asks_only_the_container_is_read() -> None:
    container = messages.container("c1", name="main")
    payload = api.CreateContainerRequest(container=container).SerializeToString()
    request, creation = request_of(payload, snapshot(node=HOOKED))
    assert (request.container.name, creation) == ("main", None)
