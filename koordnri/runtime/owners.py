"""Who set what during one request: the first claim of a field wins, a second one fails the request.

A second claim by the same plugin fails too, as on a real node: two settings of one field in one reply fail the container, and so do
two connections of one plugin.
"""

from __future__ import annotations

from koordnri.runtime.errors import Conflict
from koordnri.wire import api_pb2 as api
from koordnri.wire.optional import removal, split_removal


class Owners:
    """Claims by (container id, field, key). A field that exists once has the key ""."""

    def __init__(self) -> None:
        self._owners: dict[tuple[str, int, str], str] = {}

    def claim(self, container_id: str, field: int, plugin: str, key: str = "") -> None:
        """`plugin` sets the field. Raises Conflict with the text of Go's adaptation, because people search for it."""
        at = (container_id, field, key)
        other = self._owners.get(at)
        if other is not None:
            other, cleared = split_removal(other)
            if not cleared or other != plugin:
                name = api.Field.Name(field)  # type: ignore[arg-type]  # a number of the enum, by the tables that call this
                # Without a key, Go's text ends with a space.
                raise Conflict(f'plugins "{plugin}" and "{other}" both tried to set {name} {key}')
        self._owners[at] = plugin

    def clear(self, container_id: str, field: int, plugin: str, key: str = "") -> None:
        """`plugin` takes the field from whoever has it; from then on only `plugin` may claim it."""
        self._owners[(container_id, field, key)] = removal(plugin)

    def append(self, container_id: str, field: int, plugin: str) -> None:
        """`plugin` adds to a field that several plugins may add to (OCI hooks)."""
        at = (container_id, field, "")
        self._owners[at] = f"{self._owners[at]},{plugin}" if at in self._owners else plugin

    def of(self, container_id: str) -> dict[str, str]:
        """Who set what on the container: "CPUQuota" or "Env NAME" → plugin."""
        return {
            f"{api.Field.Name(field)} {key}".rstrip(): plugin  # type: ignore[arg-type]  # as above
            for (id_, field, key), plugin in self._owners.items()
            if id_ == container_id
        }

    def message(self) -> api.OwningPlugins:
        """The claims as validators get them."""
        message = api.OwningPlugins()
        for (container_id, field, key), plugin in self._owners.items():
            of = message.owners[container_id]
            if key or field in KEYED:
                of.compound[field].owners[key] = plugin
            else:
                of.simple[field] = plugin
        return message


KEYED = frozenset(
    {
        api.Annotations,
        api.Mounts,
        api.Devices,
        api.CdiDevices,
        api.Env,
        api.HugepageLimits,
        api.CgroupsUnified,
        api.Rlimits,
        api.Namespace,
        api.Sysctl,
        api.LinuxNetDevices,
    }
)
"""Fields that a container has several of, each with a key."""
