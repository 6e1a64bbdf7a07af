"""Resources of a container as kubelet asks for them: the baseline from which every decision starts."""

from __future__ import annotations

import msgspec

_NAMES = {
    "cpu_shares": "shares",
    "cpu_quota": "quota",
    "cpu_period": "period",
    "memory_limit": "memory",
}


class Resources(msgspec.Struct, omit_defaults=True, frozen=True, rename=_NAMES):
    """What is set; None (and "" for the two cpusets) means that nobody asked.

    Serialised (short keys, unset ones left out) it is the baseline that travels in the container's annotation.
    """

    cpu_shares: int | None = None
    cpu_quota: int | None = None
    """µs per period; -1 unlimited"""
    cpu_period: int | None = None
    """µs"""
    cpus: str = ""
    mems: str = ""
    memory_limit: int | None = None
    """bytes; -1 unlimited"""
    unified: dict[str, str] | None = None
    """cgroup v2 file → text"""

    def moved_by(self, asked: Resources) -> Resources:
        """The baseline after kubelet asked for `asked`: what it left out stays.

        Returns self when nothing moves, so that "did it move" is an identity test.
        """
        unified = self.unified
        if asked.unified:
            unified = {**(unified or {}), **asked.unified}
        new = Resources(
            self.cpu_shares if asked.cpu_shares is None else asked.cpu_shares,
            self.cpu_quota if asked.cpu_quota is None else asked.cpu_quota,
            self.cpu_period if asked.cpu_period is None else asked.cpu_period,
            asked.cpus or self.cpus,
            asked.mems or self.mems,
            self.memory_limit if asked.memory_limit is None else asked.memory_limit,
            unified,
        )
        return self if new == self else new


NOTHING = Resources()
BASELINE_KEY = "koordnri.io/baseline"
"""Annotation that the adjustment adds to the container; it is in every later event and Synchronize of that container."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Resources)


def encode_baseline(baseline: Resources) -> str:
    """The annotation's text, e.g. `{"shares":512,"quota":50000,"period":100000}`."""
    return _encoder.encode(baseline).decode()


def decode_baseline(text: str) -> Resources:
    """Inverse of encode_baseline. Raises msgspec.DecodeError with the position when the text is not ours."""
    return _decoder.decode(text)
