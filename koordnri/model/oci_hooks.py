"""The hooks of the OCI runtime that a node has, arranged so that those that are not for a container are passed over at little cost."""

from __future__ import annotations

import re
from collections.abc import Sequence

from koordnri.model.container import Creation
from koordnri.model.oci_hook import LONGEST_COMMAND, Annotations, OCIHook


class OCIHooks(tuple[OCIHook, ...]):
    """In the order in which they are injected. Immutable, and made once per change of the host's files: whatever a creation need not
    compute is computed then.
    """

    def __init__(self, _hooks: Sequence[OCIHook] = ()) -> None:
        keys: list[tuple[str, int]] = []
        literals: list[tuple[str, int]] = []
        commands: list[tuple[tuple[re.Pattern[str], ...], int]] = []
        others: list[int] = []
        for number, hook in enumerate(self):
            when = hook.when
            if when.keyed:
                keys.append((when.keyed[0][0], number))
            elif when.literals:
                literals.append((when.literals[0], number))
            elif when.commands and not when.any_of:
                commands.append((when.commands, number))
            else:
                others.append(number)
        self._keys, self._literals, self._commands = tuple(keys), tuple(literals), tuple(commands)
        """(a condition that is necessary, number of the hook)"""
        self._others = tuple(others)

    def matching(self, pod: Annotations, creation: Creation) -> Sequence[OCIHook]:
        """Those that are for a container of a pod with these annotations."""
        container, args = creation.container.annotations, creation.container.args
        command = args[0][:LONGEST_COMMAND] if args else ""
        possible = self._others
        for key, number in self._keys:
            if key in pod or key in container:
                possible += (number,)
        if self._literals:
            keys = "\n".join((*pod, *container))
            for literal, number in self._literals:
                if literal in keys:
                    possible += (number,)
        for patterns, number in self._commands:
            for pattern in patterns:
                if pattern.search(command) is not None:
                    possible += (number,)
                    break
        if not possible:
            return ()
        asked = (self[number] for number in sorted(possible))
        return [hook for hook in asked if hook.when.matches(command, pod, container, creation.mounts)]


NO_OCI_HOOKS = OCIHooks()
