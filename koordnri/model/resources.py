"""Resources of a container as kubelet asks for them, and the note that separates them from values that we set."""

from __future__ import annotations

import msgspec

from koordnri.model.allocated import NOT_ALLOCATED, Allocated, from_json, to_json
from koordnri.model.convert import CFS_PERIOD_US
from koordnri.model.field import FieldTableError
from koordnri.model.fields import ALL, Field

_NAMES = {
    "cpu_shares": "shares",
    "cpu_quota": "quota",
    "cpu_period": "period",
    "memory_limit": "memory",
}


class Resources(msgspec.Struct, omit_defaults=True, frozen=True, rename=_NAMES):
    """Resource values; None (and "" for the two cpusets): nobody asked. Serialised with short keys, without unset values."""

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

    @property
    def period_us(self) -> int:
        """The CFS period in µs; the default if nobody asked for one."""
        return self.cpu_period or CFS_PERIOD_US

    def moved_by(self, asked: Resources) -> Resources:
        """The baseline after kubelet asked for `asked`: values that it left out stay.

        Returns self when nothing changes, so that callers can test identity.
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


MOST_MAYBE = 4
"""Most values of a field that are kept besides the last one."""


class Note(msgspec.Struct, omit_defaults=True, frozen=True, rename={"allocated": "own"}):
    """What must be known of a container after our own restart: who set each value in the runtime's stored spec.

    It is kept in the container's annotation. If that is out of date or cannot be trusted, the ledger has a newer one.
    """

    asked: Resources
    """the baseline"""
    set: dict[str, int | str] = {}  # msgspec makes a new dict per note
    """field name → value of ours that was last sent through the runtime: only fields that an update can change"""
    allocated: Allocated = NOT_ALLOCATED
    """the container's exclusive CPUs from this node"""
    maybe: dict[str, list[int | str]] = {}
    """field → values of ours that may be stored instead: one that is being sent, and the last few before it, until the runtime's next list
    shows which it is. A reply may be lost, and a runtime that is killed may return with an older value"""

    def followed_by(self, asked: Resources, sent: dict[str, int | str]) -> Note:
        """The note after `sent` has gone through the runtime, with `asked` as the baseline.

        Values that are not sent this time stay in the note: their hook may have failed, or the runtime may refuse to reset them.
        """
        maybe = self.maybe
        for name, value in sent.items():
            before = self.set.get(name, value)
            if before != value or name in maybe:
                older = list(dict.fromkeys(v for v in (before, *maybe.get(name, ())) if v != value))[:MOST_MAYBE]
                maybe = {n: v for n, v in maybe.items() if n != name} | ({name: older} if older else {})
        return Note(asked, {**self.set, **sent}, self.allocated, maybe)

    def with_allocated(self, allocated: Allocated) -> Note:
        """The note with these exclusive CPUs."""
        # Encoding omits the default only if it is the same object.
        return Note(self.asked, self.set, allocated or NOT_ALLOCATED, self.maybe)

    def sending(self, values: dict[str, int | str]) -> Note:
        """The note while these values are being sent through the runtime."""
        maybe = dict(self.maybe)
        for name, value in values.items():
            maybe[name] = list(dict.fromkeys((value, *maybe.get(name, ()))))[: MOST_MAYBE + 1]
        return Note(self.asked, self.set, self.allocated, maybe)

    def seen(self, stored: dict[str, int | str]) -> Note:
        """The note after the runtime has shown which values of ours it has stored."""
        return Note(self.asked, {**self.set, **{n: v for n, v in stored.items() if n in self.maybe}}, self.allocated)

    @property
    def ours(self) -> list[dict[str, int | str]]:
        """Every value that may be ours, in the form for `difference`."""
        most = max(map(len, self.maybe.values()), default=0)
        return [self.set, *({n: v[i] for n, v in self.maybe.items() if i < len(v)} for i in range(most))]


NOTHING = Resources()
BASELINE_KEY = "koordnri.io/baseline"
"""The annotation that our adjustment adds to the container. Every later event and Synchronize has it."""

_encoder = msgspec.json.Encoder(enc_hook=to_json)
_decoder = msgspec.json.Decoder(Note, dec_hook=from_json)


def encode_note(note: Note) -> str:
    """The annotation's text, e.g. `{"asked":{"shares":512,"quota":80000,"period":100000},"set":{"cpu.quota":40000}}`."""
    return _encoder.encode(note).decode()


def decode_note(text: str) -> Note:
    """Inverse of encode_note. Raises msgspec.DecodeError with the position when the text is not ours."""
    return _decoder.decode(text)


def check_baseline(field: Field) -> None:
    """Raises FieldTableError for a field whose baseline Resources lacks, or loses when kubelet asks for another one."""
    name = field.baseline
    if not name:
        return
    if name not in Resources.__struct_fields__:
        raise FieldTableError(
            f"field {field.name}: baseline={name!r} is no attribute of {Resources.__module__}.Resources"
        )
    asked = msgspec.structs.replace(NOTHING, **{name: "1" if isinstance(field.neutral, str) else 1})
    if NOTHING.moved_by(asked) != asked:
        raise FieldTableError(f"field {field.name}: {Resources.__module__}.Resources.moved_by leaves out {name!r}")


for _field in ALL:
    check_baseline(_field)
