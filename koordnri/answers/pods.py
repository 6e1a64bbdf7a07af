"""Finds the pod that a question names. `GET /v1/pods`: {"pods": [NAMESPACE/NAME…]}, every pod that the runtime has reported."""

from __future__ import annotations

import difflib

from koordnri.model import Pod
from koordnri.observe.questions import BadQuestion, NotHere
from koordnri.state.entry import Entry
from koordnri.state.ledger import Ledger

MOST_LIKE = 5
"""Most pods of like names that an error lists."""
_ALIKE = 0.5
"""How alike (0 to 1) two names must be; `web-7f9-abcde` is like `web`."""
_SHOWN = 120


def list_pods(ledger: Ledger) -> dict[str, list[str]]:
    """The shape of the module."""
    return {"pods": sorted({f"{pod.namespace}/{pod.name}" for pod in ledger.pods()})}


def find_pod(ledger: Ledger, name: str) -> Pod:
    """The pod NAMESPACE/NAME; of several sandboxes of that name the newest.

    Raises BadQuestion for another form, and NotHere with up to five pods of like names.
    """
    if name.count("/") != 1 or not all(name.split("/")):
        raise BadQuestion(f"pod: expected NAMESPACE/NAME, got {name[:_SHOWN]!r}")
    pods = {f"{pod.namespace}/{pod.name}": pod for pod in ledger.pods()}
    if name in pods:
        return pods[name]
    like = _like(name, list(pods))
    hint = f"; is it one of {', '.join(like)}?" if like else ""
    raise NotHere(f"pod {name[:_SHOWN]} is not on this node, as far as the runtime has reported{hint}")


def find_containers(ledger: Ledger, pod: Pod, name: str | None) -> list[Entry]:
    """The pod's containers; with a name only that one. A container that was created again counts once, as it is now.

    Raises NotHere, with the names that there are.
    """
    newest: dict[str, Entry] = {}
    for entry in ledger.containers_of(pod.id):
        if entry.name not in newest or newest[entry.name].ended:
            newest[entry.name] = entry
    if name is None:
        return list(newest.values())
    if name not in newest:
        there = ", ".join(newest) or "none"
        raise NotHere(
            f"pod {pod.namespace}/{pod.name} has no container {name[:_SHOWN]!r} on this node; there are: {there}"
        )
    return [newest[name]]


def _like(name: str, names: list[str]) -> list[str]:
    """Names of pods like this one, whatever their namespace: first those that contain it, then those spelled almost so."""
    bare = name.partition("/")[2]
    holding = sorted(one for one in names if bare in one.partition("/")[2])
    by_bare: dict[str, list[str]] = {}
    for one in names:
        by_bare.setdefault(one.partition("/")[2], []).append(one)
    close = difflib.get_close_matches(bare, by_bare, n=MOST_LIKE, cutoff=_ALIKE)
    return list(dict.fromkeys([*holding, *(one for found in close for one in by_bare[found])]))[:MOST_LIKE]
