"""The hooks that are installed, and whether they can work together."""

from __future__ import annotations

from importlib import metadata

from koordnri.hook import Hook
from koordnri.model import Field

ENTRY_POINTS = "koordnri.hooks"


class ChainError(Exception):
    """The installed hooks cannot work together, so the daemon does not start. The message names the hooks and the remedy."""


def load_hooks() -> list[Hook]:
    """The hooks that are installed: every entry point of the group `koordnri.hooks`, ours and third parties'.

    Raises ChainError with the entry point that cannot be loaded.
    """
    hooks = []
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        try:
            hook = entry.load()()
            if not isinstance(hook, Hook) or not all(hasattr(hook, a) for a in ("name", "order", "owns")):
                raise TypeError("expected a subclass of koordnri.hook.Hook with name, order and owns")
            hooks.append(hook)
        except Exception as error:  # a third party's import may raise anything; the message must name it
            raise ChainError(
                f"hook {entry.name} ({entry.value}) cannot be loaded: {type(error).__name__}: {error}; "
                f"mend or uninstall the distribution that registers it in the group {ENTRY_POINTS}"
            ) from error
    return hooks


def check_hooks(hooks: list[Hook]) -> None:
    """One name, one place, one owner per field. Raises ChainError."""
    names: dict[str, Hook] = {}
    orders: dict[int, Hook] = {}
    owners: dict[Field, Hook] = {}
    for hook in hooks:
        if (other := names.setdefault(hook.name, hook)) is not hook:
            raise ChainError(f"two hooks are named {hook.name}: {_where(other)} and {_where(hook)}; uninstall one")
        if (other := orders.setdefault(hook.order, hook)) is not hook:
            raise ChainError(
                f"hooks {other.name} and {hook.name} both have order {hook.order}: which decides first must be explicit; change one"
            )
        for field in hook.owns:
            if (other := owners.setdefault(field, hook)) is not hook:
                raise ChainError(
                    f"{field.name} has two owners, hooks {other.name} and {hook.name}: a field has exactly one; "
                    f"uninstall one, or make them steps of one hook"
                )


def _where(hook: Hook) -> str:
    return f"{type(hook).__module__}.{type(hook).__qualname__}"
