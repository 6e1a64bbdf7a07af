"""Two conventions of NRI's messages: zero differs from unset, and a leading '-' removes.

An Optional* sub-message that is present and empty sets the value to zero; an absent one leaves it unchanged. Plain strings (cpu.cpus,
cgroups_path) do not have this distinction: "" leaves them unchanged, and nothing can clear them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from google.protobuf.message import Message

from koordnri.wire.errors import LocalProtocolError

REMOVAL_PREFIX: Final = "-"
ARGS_TAKEOVER: Final = ""
"""First element of ContainerAdjustment.args when the plugin replaces arguments that another plugin has set."""


def get_optional(message: Message, field: str) -> Any:
    """The value of an Optional* field, which may be zero; None when it is unset."""
    return getattr(message, field).value if message.HasField(field) else None


def set_optional(message: Message, field: str, value: str | int | bool | Sequence[str] | None) -> None:
    """Set an Optional* field; 0, False, "" and [] are set too (a zero-length sub-message), None unsets.

    Raises LocalProtocolError when the value has the wrong type or does not fit; then the field is unset.
    """
    message.ClearField(field)
    if value is None:
        return
    wrapper = getattr(message, field)
    try:
        if isinstance(value, str | int):
            wrapper.value = value
        else:
            wrapper.value.extend(value)
    except (AttributeError, TypeError, ValueError) as error:
        message.ClearField(field)
        raise LocalProtocolError(
            f"{message.DESCRIPTOR.name}.{field} cannot hold {value!r}, expected the value of an"
            f" {wrapper.DESCRIPTOR.name}: {error}"
        ) from error
    wrapper.SetInParent()  # explicit: assigning a zero need not make the sub-message present


def removal(key: str) -> str:
    """The key that removes `key`: an annotation, variable, mount destination, device path, namespace type or sysctl."""
    return REMOVAL_PREFIX + key


def split_removal(key: str) -> tuple[str, bool]:
    """The key without its mark, and whether it was marked for removal. A lone '-' removes the key "", as in the runtimes."""
    if key.startswith(REMOVAL_PREFIX):
        return key[1:], True
    return key, False
