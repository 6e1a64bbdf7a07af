"""`cpu-normalization-config`: how much faster this node's CPU is than the cluster's reference.

Source: Koordinator's CPUNormalizationStrategy."""

from __future__ import annotations

from fractions import Fraction

import msgspec
from msgspec import field

from koordnri.model.node import NodeState
from koordnri.policy.reader import Document

LEAST_RATIO, MOST_RATIO = 1.0, 5.0
"""A quota is divided by the ratio. Below 1 a container would get more than its limit; above 5 somebody confused percent and ratio."""


def ratio_problem(ratio: float) -> str:
    """Why neither koordnri nor koord-manager can use a ratio; "" when they can."""
    if LEAST_RATIO <= ratio <= MOST_RATIO:
        return ""
    return f"expected {LEAST_RATIO:g}..{MOST_RATIO:g}, got {ratio:g}; a node that selects it is not normalised"


class ModelRatios(Document, frozen=True):
    """Ratios of one CPU model by enabled features; None: not measured."""

    base_ratio: float | None = None
    hyper_thread_enabled_ratio: float | None = None
    turbo_enabled_ratio: float | None = None
    hyper_thread_turbo_enabled_ratio: float | None = None

    @staticmethod
    def field(hyper_threads: bool, turbo: bool) -> str:
        """Name of the field for the enabled features."""
        if hyper_threads:
            return "hyper_thread_turbo_enabled_ratio" if turbo else "hyper_thread_enabled_ratio"
        return "turbo_enabled_ratio" if turbo else "base_ratio"


class CPUNormalization(Document, frozen=True):
    """The document. The node annotation `node.koordinator.sh/cpu-normalization-ratio` takes precedence over all of it."""

    enable: bool = False
    default_ratio: float = 1.0
    """Ratio of CPU models that ratioModel does not name."""
    ratio_model: dict[str, ModelRatios] = field(default_factory=dict)
    """By CPU model as in /proc/cpuinfo's "model name"."""

    def selected(self, node: NodeState) -> tuple[str, float]:
        """The ratio of this node's CPU and its path, whether or not normalisation is on; as Koordinator's manager selects it."""
        model = self.ratio_model.get(node.cpu_model)
        name = ModelRatios.field(node.threads_per_core > 1, node.turbo)
        ratio = None if model is None else getattr(model, name)
        if ratio is None:
            return "defaultRatio", self.default_ratio
        json_name = next(info.encode_name for info in msgspec.structs.fields(ModelRatios) if info.name == name)
        return f"ratioModel.{node.cpu_model}.{json_name}", ratio

    def ratio_of(self, node: NodeState) -> Fraction | None:
        """The ratio of this node's CPU, None when normalisation is off or the ratio out of range (see koordnri.policy.effects)."""
        if not self.enable:
            return None
        _, ratio = self.selected(node)
        return None if ratio_problem(ratio) else Fraction(str(ratio))
