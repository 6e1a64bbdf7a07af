"""Annotations of the container itself: `annotations.koordnri.sh`, a map of key → value, for plugins that come later and for the runtime."""

from __future__ import annotations

from koordnri.model import injection
from koordnri.model.fields import INJECTED_ANNOTATION
from koordnri.model.resources import BASELINE_KEY
from koordnri_hooks.injection.kind import Injecting, Kind, yaml_of

MOST = 256


def _give(injecting: Injecting, values: dict[str, str | int] | None) -> None:
    injecting.at_most(MOST, values, "annotations")
    for key, value in (values or {}).items():
        if not key or key[0] == "-" or key == BASELINE_KEY:
            raise injecting.wrong(f'expected keys without "-" before them, and not koordnri\'s own, got "{key[:80]}"')
        injecting.put(INJECTED_ANNOTATION, {"annotations": {key: str(value)}}, str(value), key)


KIND = Kind(injection.ANNOTATIONS, (INJECTED_ANNOTATION,), yaml_of(dict[str, str | int]), _give)
