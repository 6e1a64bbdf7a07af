"""Which annotation counts for a container, of all the keys and scopes that NRI's sample plugins know."""

from __future__ import annotations

import pytest

from koordnri.model.injection import ALL, DEVICES, ULIMITS, annotated, asked_by
from tests.support.pods import pod

NEW, OLD = DEVICES.keys
ORDER = [f"{NEW}/container.main", f"{OLD}/container.main", f"{NEW}/pod", f"{OLD}/pod", NEW, OLD]


@pytest.mark.parametrize("first", range(len(ORDER)))
def test_the_narrowest_scope_counts_and_in_one_scope_the_present_key(first: int) -> None:
    one = pod(annotations={key: f"text {i}" for i, key in reversed(list(enumerate(ORDER))) if i >= first})
    assert DEVICES.written(one, "main") == (ORDER[first], f"text {first}")


def test_what_is_for_another_container_does_not_count() -> None:
    one = pod(annotations={f"{NEW}/container.other": "theirs"})
    assert DEVICES.written(one, "main") is None


@pytest.mark.parametrize("scope", ["", "/pod"])
def test_ulimits_are_of_single_containers_only(scope: str) -> None:
    one = pod(annotations={ULIMITS.keys[0] + scope: "[]"})
    assert ULIMITS.written(one, "main") is None
    assert asked_by(one) == {}


def test_the_keys_of_a_pod_are_found_by_kind() -> None:
    keys = (
        ORDER[0],
        "example.com/devices.noderesource.dev",
        ORDER[5],
        f"{NEW}/other",
        f"{ULIMITS.keys[1]}/container.x",
    )
    assert annotated(keys) == {"devices": (ORDER[0], ORDER[5]), "ulimits": (keys[4],)}


def test_no_two_kinds_have_one_key() -> None:
    keys = [key for kind in ALL for key in kind.keys]
    assert len(set(keys)) == len(keys)
