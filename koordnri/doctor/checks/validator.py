"""The runtime's default validator, which can refuse containers that no required plugin has seen (docs/reference/nri.md, 5.1)."""

from __future__ import annotations

from collections.abc import Iterator

from koordnri.doctor.checks.runtime import nri_lines
from koordnri.doctor.codes import Finding
from koordnri.doctor.facts import CONTAINERD, CRIO, Facts
from koordnri.wire.versions import Version, parse_version

TOLERATION = "tolerate-missing-nri-plugins.noderesource.dev"
"""The annotation of koordnri's pods, which we suggest for the runtime's configuration: it takes any name."""
_FIRST = {CONTAINERD: Version(2, 2, 0), CRIO: Version(1, 34, 0)}
"""Runtime → its first version with a validator"""


def check(facts: Facts) -> Iterator[Finding]:
    """Whether the runtime requires koordnri, and what that does to koordnri's own pod."""
    runtime, config, name = facts.runtime, facts.runtime.config, facts.ours.plugin_name
    version = parse_version(runtime.version_text)
    first = _FIRST.get(runtime.kind)
    if config is None or version is None or first is None or version._replace(final=True) < first:
        return
    required = config.required_plugins if config.validator else ()
    names = {plugin: _without_index(plugin) for plugin in required}
    if name not in names.values():
        if similar := [plugin for plugin, base in names.items() if "koordnri" in base]:
            yield Finding(
                "KN0802",
                config.path,
                f'the validator requires "{similar[0]}", and koordnri registers as "{name}": no container can be created',
                nri_lines(runtime, _lines(runtime.kind, name), "default_validator"),
            )
            return
        yield Finding(
            "KN0803",
            config.path,
            "while koordnri is away, the runtime creates containers without its settings; koordnri corrects what can be corrected later",
            f"if you would rather have such containers refused:\n{nri_lines(runtime, _lines(runtime.kind, name), 'default_validator')}\n"
            f'and give the pods that must start before koordnri the annotation {TOLERATION}: "true"; its own pods have it',
        )
    elif not config.tolerated:
        yield Finding(
            "KN0801",
            config.path,
            f'the validator requires "{name}" of every container, that of koordnri\'s own pod too, and names no annotation that frees one',
            f"{nri_lines(runtime, _lines(runtime.kind, name), 'default_validator')}\n"
            f'and the annotation {TOLERATION}: "true" on static pods; koordnri\'s pods have it',
        )


def _without_index(plugin: str) -> str:
    """`10-koordnri` is the plugin koordnri with its index."""
    return plugin[3:] if plugin[:2].isdecimal() and plugin[2:3] == "-" else plugin


def _lines(kind: str, name: str) -> tuple[str, ...]:
    if kind == CRIO:
        return (
            "nri_enable_default_validator = true",
            f'nri_validator_required_plugins = ["{name}"]',
            f'nri_validator_tolerate_missing_plugins_annotation = "{TOLERATION}"',
        )
    return (
        "enable = true",
        f'required_plugins = ["{name}"]',
        f'tolerate_missing_plugins_annotation = "{TOLERATION}"',
    )
