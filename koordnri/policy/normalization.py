"""`cpu-normalization-config`: how much faster this node's CPU is than the cluster's yardstick.

Source: Koordinator's CPUNormalizationStrategy."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

from msgspec import Meta, field

from koordnri.model.node import NodeState
from koordnri.policy.reader import Document

Ratio = Annotated[float, Meta(ge=1.0, le=5.0)]
"""A quota is divided by it. Below 1 a container would get more than its limit; above 5 somebody confused percent and ratio."""


class ModelRatios(Document, frozen=True):
    """Ratios of one CPU model, by what is switched on; None: not measured."""

    base_ratio: Ratio | None = None
    hyper_thread_enabled_ratio: Ratio | None = None
    turbo_enabled_ratio: Ratio | None = None
    hyper_thread_turbo_enabled_ratio: Ratio | None = None

    def of(self, hyper_threads: bool, turbo: bool) -> float | None:
        """The ratio for what is switched on; None when it was not measured."""
        if hyper_threads:
            return self.hyper_thread_turbo_enabled_ratio if turbo else self.hyper_thread_enabled_ratio
        return self.turbo_enabled_ratio if turbo else self.base_ratio


class CPUNormalization(Document, frozen=True):
    """The node annotation `node.koordinator.sh/cpu-normalization-ratio`, where there is one, beats all of this."""

    enable: bool = False
    default_ratio: Ratio = 1.0
    """Ratio of CPU models that ratio_model does not name."""
    ratio_model: dict[str, ModelRatios] = field(default_factory=dict)
    """By CPU model as in /proc/cpuinfo's "model name"."""

    def ratio_of(self, node: NodeState) -> Fraction | None:
        """The ratio of this node's CPU, None when normalisation is off. Koordinator's manager computes the same from the same."""
        if not self.enable:
            return None
        model = self.ratio_model.get(node.cpu_model)
        ratio = None if model is None else model.of(node.threads_per_core > 1, node.turbo)
        return Fraction(str(self.default_ratio if ratio is None else ratio))
