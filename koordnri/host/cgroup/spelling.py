"""Value of a field ↔ text of its cgroup file, for v1 and v2; and whether a value that was read equals a wanted one.

    form(CPU_QUOTA, 2).spell(50_000, "", "max 100000\n")  → "50000 100000"     writing the quota keeps the period
    form(CPU_QUOTA, 2).parse("max 100000\n", "")          → -1
    form(MEMORY_LIMIT, 1).same(5000, 4096)                → True               the kernel rounds down to pages

Values are the model's: integers with -1 for no limit, cpusets as lists, io.max as `rbps=… wbps=… riops=… wiops=…`, io.weight as a number
or `default`. The key of a keyed field is the disk's `major:minor`. Sources: cgroup-v1 and cgroup-v2 documentation, mm/page_counter.c.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any, NamedTuple

from koordnri.host.cgroup import disk_text, text
from koordnri.host.cgroup.text import Text
from koordnri.model import Field, fields
from koordnri.model.field import FieldTableError, Spelling


class Form(NamedTuple):
    """How one cgroup version spells one field.

    files   relative to v1's hierarchies (with the controller) or to the cgroup of v2; the first that exists counts
    parse   (text, key) → value. Raises ValueError that says what was expected, for a text that no kernel writes
    spell   (value, key, current text of the file) → text to write. Raises ValueError for a value that no kernel accepts
    alike   (wanted, read) → whether they mean the same to the kernel. Call it through `same`
    """

    files: tuple[str, ...]
    parse: Callable[[str, str], Any]
    spell: Callable[[Any, str, str], str]
    alike: Callable[[Any, Any], bool]

    def same(self, wanted: Any, read: Any) -> bool:
        """Whether both mean the same to the kernel. A file that could not be read (None) equals nothing, not even another such file; nor
        does a value of another type.
        """
        if wanted is None or read is None:
            return False
        if wanted.__class__ is read.__class__ and wanted == read:
            return True
        try:
            return self.alike(wanted, read)
        except (TypeError, ValueError, AttributeError):
            return False


_MOST_PARSED = 256
"""texts of one field whose values are kept"""

_TEXTS: Mapping[Spelling, Callable[[Field, int], Text]] = {
    Spelling.NUMBER: text.natural,
    Spelling.SIGNED: text.signed,
    Spelling.PROCESSES: text.processes,
    Spelling.CPUSET: text.cpuset,
    Spelling.QUOTA: text.quota,
    Spelling.PERIOD: text.period,
    Spelling.SHARES: text.shares,
    Spelling.LIMIT: text.limit,
    Spelling.MAX: text.limit_as_on_v2,
    Spelling.PROTECTION: text.protection,
    Spelling.DISK_LIMITS: disk_text.limits,
    Spelling.DISK_WEIGHT: disk_text.weight,
    Spelling.DISK_LATENCY: disk_text.latency,
    Spelling.DISK_NUMBER: disk_text.number,
    Spelling.DISK_OPERATIONS: disk_text.operations,
    Spelling.DISK_WORDS: disk_text.words,
    Spelling.SWITCH: text.switch,
}
"""column `spelling` → function that makes its texts for v1 and v2"""
if missing := set(Spelling) - _TEXTS.keys():
    raise FieldTableError(f"koordnri.host.cgroup.spelling has no texts for {missing}")


@cache
def form(field: Field, version: int) -> Form | None:
    """None when cgroups of that version have no file for the field."""
    files = tuple(filter(None, (field.v1,))) if version == 1 else field.v2
    if not files or field.spelling is None:
        return None
    parse, spell, alike = _TEXTS[field.spelling](field, version)
    # Most cgroups have one of a few texts, and a pass over 500 containers parses 5000.
    return Form(files, lru_cache(_MOST_PARSED)(parse), spell, alike)


def check_neutral(field: Field) -> None:
    """Raises FieldTableError for a neutral value that the field's own file does not accept: it could never be given back."""
    for found in filter(None, (form(field, 1), form(field, 2))):
        try:
            found.spell(field.neutral, "8:0" if field.keyed else "", "max 100000")
        except ValueError as error:
            what = f"neutral={field.neutral!r} is no value of {field.spelling}: {error}"
            raise FieldTableError(f"field {field.name}: {what}") from None


for _field in fields.ALL:
    check_neutral(_field)


def file_names() -> frozenset[str]:
    """Names of all files of any field, without controller and directory."""
    forms = [form(field, version) for field in fields.ALL for version in (1, 2)]
    return frozenset(name.rpartition("/")[2] for found in forms if found is not None for name in found.files)
