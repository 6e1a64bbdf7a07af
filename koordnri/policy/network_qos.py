"""networkQOS of a class, and the rules between the classes of a node. Source: Koordinator's NetworkQOSCfg and its webhook.

Only requests are added up, and only those of classes that share the node's bandwidth. The sum of limits may exceed it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from koordnri.model.quantity import quantity_value
from koordnri.policy.reader import Document
from koordnri.policy.units import Share


class Bandwidths(NamedTuple):
    """Bytes/s; 0 for none."""

    ingress_request: int
    ingress_limit: int
    egress_request: int
    egress_limit: int


class NetworkQOS(Document, frozen=True):
    """Bandwidth of the class: an integer is a percent of system-config's totalNetworkBandwidth, text is bits/s. None: not set."""

    enable: bool = False
    ingress_request: Share | None = None
    ingress_limit: Share | None = None
    egress_request: Share | None = None
    egress_limit: Share | None = None

    def bytes_per_second(self, total: int) -> Bandwidths:
        """What the class has; nothing where it is not enabled. `total`: bits/s of the node, 0 when it is unknown."""
        asked = (self.ingress_request, self.ingress_limit, self.egress_request, self.egress_limit)
        return Bandwidths(*(_bits(share, total) // 8 if self.enable else 0 for share in asked))


class PodNetworkQOS(Document, frozen=True):
    """`koordinator.sh/networkQOS` of a pod. Text is bits/s, an integer a percent of totalNetworkBandwidth. None: no limit."""

    ingress_limit: Share | None = None
    egress_limit: Share | None = None

    @property
    def any(self) -> bool:
        """Whether there is a limit; `"0"` is none."""
        return any(_bits(limit, 100) for limit in (self.ingress_limit, self.egress_limit))

    def bytes_per_second(self, total: int) -> tuple[int, int]:
        """(ingress, egress); 0 for none. `total`: bits/s of the node, 0 when it is unknown."""
        return _bits(self.ingress_limit, total) // 8, _bits(self.egress_limit, total) // 8


def _bits(share: int | str | None, total: int) -> int:
    if share is None:
        return 0
    return quantity_value(share) if isinstance(share, str) else share * total // 100


_REQUESTS = {"ingressRequest": "ingress_request", "egressRequest": "egress_request"}


def check_requests(classes: Mapping[str, NetworkQOS]) -> Iterator[tuple[str, str]]:
    """(path, message) if the requests of a node's classes (by JSON name) contradict each other. Disabled classes count too."""
    given = _given(classes)
    texts = [path for path, value in given.items() if isinstance(value, str)]
    if texts and len(texts) < len(given):
        number = next(path for path, value in given.items() if not isinstance(value, str))
        yield (
            texts[0],
            f"expected percents everywhere or quantities everywhere, got a quantity here and a percent in {number}",
        )
        return
    for name in _REQUESTS:
        percents = {path: value for path, value in given.items() if path.endswith(name) and isinstance(value, int)}
        if sum(percents.values()) > 100:
            yield next(reversed(percents)), f"expected at most 100 % together, got {_sum_words(percents)}"


def check_bandwidth(classes: Mapping[str, NetworkQOS], total: int) -> Iterator[tuple[str, str]]:
    """(path, message) if requested quantities exceed the node's bandwidth in bits/s; 0: unknown."""
    given = _given(classes)
    for name in _REQUESTS if total else ():
        quantities = {path: value for path, value in given.items() if path.endswith(name) and isinstance(value, str)}
        if sum(map(quantity_value, quantities.values())) > total:
            yield (
                next(reversed(quantities)),
                f"expected at most system-config's totalNetworkBandwidth {total} together, got {_sum_words(quantities)}",
            )


def _given(classes: Mapping[str, NetworkQOS]) -> dict[str, int | str]:
    return {
        f"{class_name}.networkQOS.{name}": value
        for class_name, qos in classes.items()
        for name, attribute in _REQUESTS.items()
        if (value := getattr(qos, attribute)) is not None
    }


def _sum_words(given: Mapping[str, int | str]) -> str:
    return " + ".join(f"{str(value)[:60]} ({path.partition('.')[0]})" for path, value in given.items())
