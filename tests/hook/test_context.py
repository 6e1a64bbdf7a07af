"""What a hook may say through its context."""

import pytest

from koordnri.hook import ContainerContext, PodContext
from koordnri.model import AnnotationError, Container, Event, NodeState, Pod, Resources, fields
from koordnri.policy import DEFAULT_POLICY

STATUS = "scheduling.koordinator.sh/resource-status"


def context(status=None, event=Event.CREATE, node=None, owns=(fields.CPU_CPUS, fields.ENV, fields.IO_MAX)):
    node = node or NodeState()
    pod = Pod("1", "u", "n", "p", annotations={} if status is None else {STATUS: status})
    ctx = ContainerContext(
        pod, Container("c", "main", "1", Resources()), event, DEFAULT_POLICY, node, node.routes(event)
    )
    ctx.hook, ctx.owns = "mine", frozenset(owns)
    return ctx


def test_a_decided_field_carries_hook_reason_and_route():
    ctx = context()
    ctx.set(fields.CPU_CPUS, "0-3", "because")
    ctx.set(fields.ENV, "1", "why not", "NAME")
    assert {n: tuple(s) for n, s in ctx.settings.items()} == {
        "cpu.cpus": (fields.CPU_CPUS, "", "0-3", "mine", "because", "adjust"),
        "env[NAME]": (fields.ENV, "NAME", "1", "mine", "why not", "adjust"),
    }
    assert ctx.value(fields.ENV, "NAME") == "1"
    assert ctx.value(fields.ENV, "OTHER") is None


def test_a_field_of_another_hook_is_a_bug():
    with pytest.raises(LookupError, match=r"hook mine set cpu\.quota, which it does not own"):
        context().set(fields.CPU_QUOTA, 1, "x")


def test_a_field_that_cannot_be_set_is_recorded_as_skipped():
    ctx = context(event=Event.UPDATE)
    ctx.set(fields.ENV, "1", "x", "NAME")
    assert ctx.settings == {}
    assert "restart the pod" in ctx.skipped["env[NAME]"]


def test_skips_name_a_field_or_the_hook():
    ctx = context()
    ctx.skip(fields.CPU_CPUS, "a")
    ctx.skip(fields.IO_MAX, "b", "/dev/sda")
    ctx.skip("mine", "c")
    assert ctx.skipped == {"cpu.cpus": "a", "io.max[/dev/sda]": "b", "mine": "c"}


def test_an_error_of_one_part_names_hook_and_fault():
    ctx = context()
    ctx.error(AnnotationError("a/b", "bad"))
    assert ctx.errors == (("mine", "annotation a/b: bad", "pod"),)


@pytest.mark.parametrize(
    ("status", "decided", "pinned"),
    [
        ('{"cpuset":"2-4"}', "2-4", True),
        ('{"cpuset":" 2-4 "}', "2-4", True),
        ('{"cpuset":"2-4"}', "0-7", False),
        ('{"cpuset":"2-4"}', None, False),
        ('{"cpuset":""}', "0-7", False),
        (None, "0-7", False),
        ("{", None, False),
    ],
)
def test_pinned_is_who_got_the_schedulers_cpus(status, decided, pinned):
    ctx = context(status)
    if decided is not None:
        ctx.set(fields.CPU_CPUS, decided, "x")
    assert ctx.cpus_pinned is pinned


def test_a_pods_baseline_is_its_own():
    node = NodeState()
    pod = Pod("1", "u", "n", "p", resources=Resources(cpu_quota=5))
    assert PodContext(pod, DEFAULT_POLICY, node, node.pod_routes).baseline.cpu_quota == 5
