"""Hooks of the OCI runtime: which are injected, and into whose containers."""

from __future__ import annotations

import re
from dataclasses import replace

from koordnri_hooks.injection.hook import InjectionHook
from koordnri_hooks.injection.oci_hooks import UNKNOWN

from koordnri.model import NodeState
from koordnri.model.container import Creation
from koordnri.model.decision import Decision
from koordnri.model.oci_hook import OCIHook, When
from koordnri.model.oci_hooks import OCIHooks
from koordnri.policy import Policy
from koordnri.wire import api_pb2 as api
from koordnri.wire import views_pb2 as views
from tests.hooks.injection.one_injection import EVERYBODY, created_with, sent, shown
from tests.hooks.one_hook import context, run
from tests.support.pods import pod
from tests.support.policies import policy_of

ALWAYS = OCIHook("a.json", "/bin/a", ("a", "go"), ("A=1",), 5, ("prestart", "poststop"), When(always=True))
ANNOTATED = OCIHook(
    "b.json", "/bin/b", (), (), None, ("prestart",), When(annotations=((re.compile("^k$"), re.compile("^pod$")),))
)
LITERAL = ANNOTATED._replace(when=ANNOTATED.when._replace(literals=("k",)))
SHELL = OCIHook("c.json", "/bin/c", (), (), None, ("startContainer",), When(commands=(re.compile("/sh$"),)))
CREATION = created_with(["/bin/sh"], {"k": "container"}, [views.WholeMount(destination="/x")])


def decide(
    *hooks: OCIHook, policy: Policy = EVERYBODY, creation: Creation | None = CREATION, **annotations: str
) -> Decision:
    ctx = context(pod(annotations=annotations), node=replace(NodeState(), oci_hooks=OCIHooks(hooks)), policy=policy)
    ctx.container.creation = creation
    return run(InjectionHook(), ctx)


def test_a_hook_that_matches_is_injected_into_its_stages() -> None:
    decision = decide(ALWAYS)
    assert shown(decision) == {"oci_hook[prestart a.json]": "a go", "oci_hook[poststop a.json]": "a go"}
    entry = {"path": "/bin/a", "args": ["a", "go"], "env": ["A=1"], "timeout": {"value": 5}}
    assert sent(decision) == api.ContainerAdjustment(hooks={"create_runtime": [entry], "poststop": [entry]})


def test_hooks_keep_their_order_and_the_pods_annotation_counts_before_the_containers() -> None:
    hooks = sent(decide(ALWAYS, ANNOTATED, SHELL, k="pod")).hooks
    assert [hook.path for hook in hooks.create_runtime] == ["/bin/a", "/bin/b"]
    assert [hook.path for hook in hooks.start_container] == ["/bin/c"]
    assert not decide(ANNOTATED).settings


def test_what_an_annotations_key_must_have_is_looked_for_in_the_pods_and_the_containers() -> None:
    assert decide(LITERAL, k="pod").settings
    assert decide(LITERAL, creation=created_with(annotations={"k": "pod"})).settings
    assert not decide(LITERAL, creation=created_with(annotations={"x": "pod"})).settings


def test_a_container_without_a_command_matches_no_command() -> None:
    assert not decide(SHELL, creation=created_with()).settings


def test_only_listed_pods_get_them_and_nobody_is_refused_anything() -> None:
    others = policy_of(koordnri_config={"trust": {"injection": {"ociHooks": {"namespaces": ["others"]}}}})
    decision = decide(ALWAYS, policy=others)
    assert (decision.settings, decision.skipped, decision.errors) == ({}, {}, ())
    only_devices = policy_of(koordnri_config={"trust": {"injection": {"devices": {"namespaces": ["shop"]}}}})
    assert not decide(ALWAYS, policy=only_devices).settings


def test_whether_a_pod_is_listed_follows_the_policy() -> None:
    one = pod()
    node = replace(NodeState(), oci_hooks=OCIHooks((ALWAYS,)))
    others = policy_of(koordnri_config={"trust": {"injection": {"ociHooks": {"namespaces": ["others"]}}}})
    for policy, given in ((others, False), (EVERYBODY, True), (others, False)):
        ctx = context(one, node=node, policy=policy)
        ctx.container.creation = CREATION
        assert bool(run(InjectionHook(), ctx).settings) is given


def test_a_pod_whose_spec_is_not_known_is_not_listed_whatever_without_spec_says() -> None:
    builders = {"ociHooks": {"serviceAccounts": ["shop/builder"]}}
    policy = policy_of(koordnri_config={"trust": {"withoutSpec": "believe", "injection": builders}})
    assert not decide(ALWAYS, policy=policy).settings


def test_a_pod_is_listed_as_soon_as_the_labels_of_its_namespace_are_known() -> None:
    selecting = {"namespaceSelector": {"matchLabels": {"team": "storage"}}}
    policy = policy_of(koordnri_config={"trust": {"injection": {"ociHooks": selecting}}})
    one, node = pod(), replace(NodeState(), oci_hooks=OCIHooks((ALWAYS,)))
    for labels, given in ((None, False), ({"team": "storage"}, True), ({}, False)):
        one.namespace_labels = labels
        ctx = context(one, node=node, policy=policy)
        ctx.container.creation = CREATION
        assert bool(run(InjectionHook(), ctx).settings) is given


def test_before_a_container_is_created_nobody_knows() -> None:
    assert decide(ALWAYS, creation=None).skipped == {"ociHooks": UNKNOWN}
