"""Environment variables: `environment.koordnri.sh`, a map of name → value. A variable that the container has is replaced."""

from __future__ import annotations

from koordnri.model import injection
from koordnri.model.fields import ENV, INJECTED_ENV
from koordnri_hooks.injection.kind import Injecting, Kind, yaml_of

MOST = 256


def _give(injecting: Injecting, values: dict[str, str | int] | None) -> None:
    injecting.at_most(MOST, values, "variables")
    for name, value in ((name, str(value)) for name, value in (values or {}).items()):
        if not name or name[0] == "-" or "=" in name or "\0" in name + value:
            raise injecting.wrong(f'expected names without "=" in them and "-" before them, got "{name[:80]}"')
        injecting.once("variable", name, INJECTED_ENV, ENV)
        injecting.put(INJECTED_ENV, {"env": [{"key": name, "value": value}]}, value, name)


KIND = Kind(injection.ENVIRONMENT, (INJECTED_ENV,), yaml_of(dict[str, str | int]), _give)
