"""Who set what: the first claim wins, and a removal takes a field over."""

from collections.abc import Callable

import pytest

from koordnri.runtime import LATEST
from koordnri.runtime.adjustments import Adjustments
from koordnri.runtime.errors import Conflict
from koordnri.wire import api_pb2 as api
from tests.runtime.one_request import Adjust, answer, request
from tests.runtime.scripted_plugin import adjusting


def test_hooks_remember_all_who_added_some() -> None:
    merged = Adjustments(request(), LATEST)
    for plugin in ("05-a", "10-b"):
        merged.apply(adjusting(hooks=api.Hooks(poststop=[api.Hook(path="/h")])), plugin)
    assert merged.owners.of("c1") == {"OciHooks": "05-a,10-b"}
    assert len(merged.adjust.hooks.poststop) == 2


def test_the_same_key_twice_in_one_reply_conflicts_with_itself() -> None:
    merged = Adjustments(request(), LATEST)
    with pytest.raises(Conflict, match='plugins "05-a" and "05-a" both tried to set Env A'):
        merged.apply(adjusting(env=[api.KeyValue(key="A", value="1"), api.KeyValue(key="A", value="1")]), "05-a")


@pytest.mark.parametrize(
    ("adjust", "marker", "value"),
    [
        (Adjust(annotations={"k": "1"}), {"annotations": {"-k": ""}}, lambda a: a.annotations["k"]),
        (
            Adjust(mounts=[api.Mount(destination="/m", source="1")]),
            {"mounts": [api.Mount(destination="-/m")]},
            lambda a: a.mounts[0].source,
        ),
        (Adjust(env=[api.KeyValue(key="A", value="1")]), {"env": [api.KeyValue(key="-A")]}, lambda a: a.env[0].value),
    ],
    ids=["annotations", "mounts", "env"],
)
def test_a_removal_marker_takes_over_and_only_for_its_plugin(
    adjust: Adjust, marker: dict[str, object], value: Callable[[Adjust], str]
) -> None:
    merged = Adjustments(request(), LATEST)
    merged.apply(answer(adjust), "05-a")
    taking = Adjust(**marker)
    theirs = Adjust.FromString(adjust.SerializeToString().replace(b"\x011", b"\x012"))
    taking.MergeFrom(theirs)
    merged.apply(answer(taking), "10-b")
    assert value(merged.adjust) == "2"
    with pytest.raises(Conflict, match='plugins "05-a" and "10-b"'):
        merged.apply(answer(adjust), "05-a")
