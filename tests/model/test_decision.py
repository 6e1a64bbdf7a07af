"""A decision is filled as a draft and is immutable once made."""

from __future__ import annotations

import pytest

from koordnri.model import Decision, Setting, fields
from koordnri.model.decision import Draft, HookError

QUOTA = Setting(fields.CPU_QUOTA, "", 100, "cfs_quota", "asked", "reply")
ENV = Setting(fields.ENV, "A", "1", "gpu", "assigned", "adjust")
ERROR = HookError("memory", "bad", "pod")


def drafted() -> Draft:
    draft = Draft()
    draft.settings |= {"cpu.quota": QUOTA, "env[A]": ENV}
    draft.skipped["rdt"] = "no resctrl"
    draft.errors = (ERROR,)
    draft.undecided = frozenset({fields.MEMORY_HIGH})
    return draft


def test_a_decision_has_what_its_draft_had():
    made = drafted().made(late=True)
    assert made == Decision(
        {"cpu.quota": QUOTA, "env[A]": ENV},
        skipped={"rdt": "no resctrl"},
        errors=(ERROR,),
        undecided=frozenset({fields.MEMORY_HIGH}),
        late=True,
    )
    assert Draft().made() == Decision()


@pytest.mark.parametrize("of", [drafted(), drafted().made()])
def test_a_value_is_found_by_its_field_and_key(of):
    assert (of.value(fields.CPU_QUOTA), of.value(fields.ENV, "A")) == (100, "1")
    assert (of.value(fields.CPU_SHARES), of.value(fields.ENV, "B")) == (None, None)


@pytest.mark.parametrize("attribute", ["settings", "observed", "skipped"])
@pytest.mark.parametrize("made", [drafted().made(), Decision(), drafted().made().with_settings({"cpu.quota": QUOTA})])
def test_nothing_of_a_decision_can_be_changed(made, attribute):
    with pytest.raises(AttributeError):
        setattr(made, attribute, {})
    with pytest.raises(TypeError):
        getattr(made, attribute)["cpu.quota"] = QUOTA


def test_what_differs_from_a_decision_is_another_one():
    made = drafted().made()
    other = made.with_settings({"cpu.quota": QUOTA._replace(route="write")}).with_errors(ERROR, ERROR)
    assert (other.settings["cpu.quota"].route, other.settings["env[A]"], len(other.errors)) == ("write", ENV, 3)
    assert made == drafted().made()
