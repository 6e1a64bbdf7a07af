"""ConfigMaps that a test lists and watches."""

from __future__ import annotations

from collections.abc import Callable

from tests.kube.fake_api import (
    configmap,
    line,
    listing,
)
from tests.kube.watched import Watching

Start = Callable[..., Watching]
OLD, NEW = {"policy": "old"}, {"policy": "new"}
LIST = listing("ConfigMap", "10", configmap("9", OLD))
RELIST = listing("ConfigMap", "20", configmap("19", NEW))
CHANGE = line("MODIFIED", configmap("11", NEW))


def restarts(it: Watching) -> dict[str, int]:
    return {reason: count for reason, count in it.stats.restarts.items() if count}
