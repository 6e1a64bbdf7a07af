"""A writable /sys/fs/cgroup by annotation."""

from __future__ import annotations

import pytest
from koordnri_hooks.injection.hook import InjectionHook

from koordnri.model import NodeState, injection
from koordnri.model.decision import Decision
from koordnri.wire import api_pb2 as api
from koordnri.wire import views_pb2 as views
from tests.hooks.injection.one_injection import EVERYBODY, created_with, sent, shown
from tests.hooks.one_hook import context, faults, run
from tests.support.pods import pod

KEY = injection.WRITABLE_CGROUPS.keys[0]


def mounted(*options: str) -> views.WholeMount:
    return views.WholeMount(destination="/sys/fs/cgroup", source="cgroup", type="cgroup", options=options)


MOUNT = mounted("nosuid", "ro", "relatime")


def decide(
    text: str = "true", mount: views.WholeMount | None = MOUNT, known: bool = True, delegates: bool = True
) -> Decision:
    node = NodeState(cgroup_nsdelegate=delegates)
    ctx = context(pod(annotations={f"{KEY}/pod": text}), node=node, policy=EVERYBODY)
    if known:
        ctx.container.creation = created_with(mounts=() if mount is None else (mount,))
    return run(InjectionHook(), ctx)


def test_the_runtimes_mount_is_made_writable() -> None:
    decision = decide()
    assert shown(decision) == {"injected.mount[/sys/fs/cgroup]": "cgroup nosuid,relatime,rw"}
    mount = {
        "destination": "/sys/fs/cgroup",
        "source": "cgroup",
        "type": "cgroup",
        "options": ["nosuid", "relatime", "rw"],
    }
    assert sent(decision) == api.ContainerAdjustment(mounts=[mount])


@pytest.mark.parametrize("text", ["false", "True", "1", ""])
def test_every_other_text_is_false(text: str) -> None:
    decision = decide(text)
    assert (decision.settings, decision.errors) == ({}, ())


def test_a_mount_that_is_writable_stays() -> None:
    assert not decide(mount=mounted("rw")).settings


@pytest.mark.parametrize(
    ("options", "words"), [({"delegates": False}, "nsdelegate"), ({"mount": None}, "mounts no /sys/fs/cgroup")]
)
def test_what_the_node_lacks_is_an_error_and_the_mount_stays(options: dict[str, None], words: str) -> None:
    decision = decide(**options)
    ((fault, message),) = faults(decision)
    assert (decision.settings, fault, words in message) == ({}, "node", True)


def test_before_a_container_is_created_nobody_knows() -> None:
    assert "at the container's creation" in decide(known=False).skipped["injected.mount[/sys/fs/cgroup]"]
