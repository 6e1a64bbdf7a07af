"""Make docs/use/policy.md, every key that a policy may have, from the policy's JSON Schema.

tools/policy_page.py           write the page
tools/policy_page.py --check   write nothing; end with 1 where the page is not what it would write
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from koordnri.cli.policy_schema import policy_schema
from koordnri.policy.document import IGNORED, SHAPES
from tools.made_files import keep

PAGE = Path(__file__).resolve().parents[1] / "docs/use/policy.md"
HEAD = """<!-- Made by tools/policy_page.py from the policy's JSON Schema; edit the types in koordnri/policy. -->
# Every policy key

The policy is the data of a ConfigMap: by default `koordnri-system/koordnri-policy`, or Koordinator's `slo-controller-config`. Each key
holds JSON or YAML. A key that is missing has its defaults, by which nothing is enabled. `koordnri policy check FILE` names every mistake
by its path, and every part that has no effect. `koordnri policy schema` prints the JSON Schema that this page is made from.

A node's values are the defaults, then `clusterStrategy`, then the first of `nodeStrategies` whose `nodeSelector` matches the Node's
labels. What is written replaces what was there before; objects are merged, lists are replaced. In `cpu-normalization-config` and
`host-application-config` the values stand beside the list, and the list is called `nodeConfigs`.

Keys match in any letter case. `null` and an empty text count as not written. Where a meaning says "None", no value is set. "(Anolis)"
marks files that only Anolis kernels have; on other kernels `koordnri explain` lists the field as left alone.
"""
NOTES = {
    "resource-threshold-config": (
        "[CPU suppress](batch.md#cpu-suppress) and [eviction](evict.md). `enable` switches both; eviction also needs\n"
        "`controllers.evict.mode` in [`koordnri-config`](#koordnri-config)."
    ),
    "resource-qos-config": (
        "By QoS class: group identity, BE's `cpu.idle`, memory, resctrl and block I/O. Memory protection, group identity and BE's disk\n"
        "limits are also set on the cgroups of the QoS classes. Protection is the sum of the pods'; a BE limit holds for all BE pods\n"
        "together, and the narrowest of several limits applies. `networkQOS` depends on `netQOSPolicy`. Under `tc` the pods of enabled\n"
        "classes get a `net_cls.classid` on cgroup v1 (1:2 SYSTEM, 1:3 LSE, LSR and LS, 1:4 BE), and nothing else: the queueing\n"
        "discipline with these classes, ipsets and iptables rules are yours to make. Under `terway-qos` koordnri writes the files that\n"
        "terway reads, with the bandwidths of `lsClass` and `beClass` and the limits of pods (`--write terway`)."
    ),
    "cpu-burst-config": (
        "[The kernel's CPU burst, and quota burst](cpu-burst.md): more quota for containers that their limit throttles\n"
        "(`cfsQuotaBurst…`)."
    ),
    "system-config": (
        "Sysctls of the node, where the daemon may write them (`--write sysctls`, off by default). A key that is no longer written gives\n"
        "its sysctl back. `schedFeatures` are those in the host's `/sys/kernel/debug/sched/features` (Linux 5.13 or later); names that a\n"
        "kernel lacks are reported. Percents of `networkQOS` refer to `totalNetworkBandwidth`."
    ),
    "host-application-config": (
        "Services outside of pods, by the path of their cgroup, which must exist. Each gets what its class has: group identity and, for\n"
        "BE, `schedIdle`; memory QoS; the resctrl group; LS also the share pools, BE the disk limits of `beClass`. `minLimitPercent`,\n"
        "`lowLimitPercent` and `throttlingPercent` are percents of the cgroup's memory limit, since it has no request; without one only\n"
        "the last counts, of the node's memory. Without a `cgroupPath` it is `host-latency-sensitive/NAME` (LSE, LSR, LS),\n"
        "`host-best-effort/NAME` (BE) or `NAME` (SYSTEM). Cgroups of pods, of kubelet, of the runtime and of the whole system are\n"
        "refused. The kernel protects memory only within the protection of the cgroups above, which koordnri does not change here. An\n"
        "application that is no longer named gives back what it had; `koordnri status` lists them."
    ),
    "cpu-normalization-config": (
        "Quotas on CPUs faster than the reference. On cgroup v1 only of containers, since a smaller quota of the pod would keep them\n"
        "from starting while koordnri is away."
    ),
    "koordnri-config": "koordnri's own key, with `clusterStrategy` and `nodeStrategies`.",
}
"""What a key is for, and what of it has no effect."""
COMMON = "HookOptions"
"""What each hook's options begin with; shown once."""


def page() -> str:
    """The text of the page."""
    schema = policy_schema()
    definitions = {**schema["$defs"], COMMON: _common(schema["$defs"])}
    # No controller has these with their own defaults, so the schema writes them out wherever they are.
    definitions["ControllerOptions"] = {"properties": {"mode": definitions["EvictOptions"]["properties"]["mode"]}}
    parts = [HEAD]
    shown: set[str] = set()
    for key, shape in SHAPES.items():
        name = type(shape.defaults).__name__
        parts.append(f"\n## {key}\n\n{NOTES[key]}\n\n{_table(definitions[name], definitions)}")
        parts += _below(name, definitions, shown)
    parts.append("\n## Keys that are ignored\n\n| key | why |\n|---|---|\n")
    parts += [f"| `{key}` | {reason} |\n" for key, reason in IGNORED.items()]
    return "".join(parts)


def _common(definitions: dict[str, Any]) -> dict[str, Any]:
    """What all hooks' options have; the schema writes it out in each."""
    others = definitions["OtherHookOptions"]["properties"]
    return {"properties": {name: field for name, field in others.items() if name != "options"}}


def _below(name: str, definitions: dict[str, Any], shown: set[str]) -> Iterator[str]:
    """Sections of what a definition refers to, each once, in the order in which a reader meets them."""
    for used in _used(definitions[name], definitions):
        if used not in shown:
            shown.add(used)
            yield f"\n### {used}\n\n{_table(definitions[used], definitions)}"
            yield from _below(used, definitions, shown)


def _used(definition: dict[str, Any], definitions: dict[str, Any]) -> Iterator[str]:
    """Names of the definitions that the rows of one table link to."""
    if _inherits(definition, definitions):
        yield COMMON
    fields = [*definition["properties"].values(), definition.get("additionalProperties")]
    for field in fields:
        if isinstance(field, dict):
            inner = field.get("items") or field.get("additionalProperties")
            yield from filter(None, (_like(one, definitions) for one in (field, inner) if isinstance(one, dict)))


def _table(definition: dict[str, Any], definitions: dict[str, Any]) -> str:
    rows = ["| key | value | default | meaning |\n|---|---|---|---|\n"]
    common = definitions[COMMON]["properties"]
    inherits = _inherits(definition, definitions)
    if inherits:
        rows.append(f"| {', '.join(f'`{name}`' for name in common)} | | | as in [{COMMON}](#{COMMON.lower()}) |\n")
    for name, field in definition["properties"].items():
        if not (inherits and name in common):
            rows.append(_row(f"`{name}`", field, definitions))
    others = definition.get("additionalProperties")
    if isinstance(others, dict):
        rows.append(_row("any other name", others, definitions))
    return "".join(rows)


def _inherits(definition: dict[str, Any], definitions: dict[str, Any]) -> bool:
    return definitions[COMMON]["properties"].keys() < definition["properties"].keys()


def _row(name: str, field: dict[str, Any], definitions: dict[str, Any]) -> str:
    like = _like(field, definitions)
    value = f"[{like}](#{like.lower()})" if like else _value(field, definitions)
    default = _differences(field, definitions[like], definitions) if like and "properties" in field else _default(field)
    return f"| {name} | {value} | {default} | {_cell(field.get('description', ''))} |\n"


def _like(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    """The definition that a field refers to, or writes out with other defaults."""
    if "$ref" in field:
        return str(field["$ref"].rsplit("/", 1)[1])
    if "properties" not in field:
        return ""
    return next(name for name, one in definitions.items() if one["properties"].keys() == field["properties"].keys())


def _value(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(f"`{one}`" for one in field["enum"] if one not in ("", None, False))
    kinds = field.get("type", [])
    kinds = [kind for kind in ([kinds] if isinstance(kinds, str) else kinds) if kind != "null"]
    if kinds == ["array"]:
        return f"list of {_item(field['items'], definitions)}"
    if kinds == ["object"] and isinstance(field.get("additionalProperties"), dict):
        return f"name → {_item(field['additionalProperties'], definitions)}"
    if field.get("pattern") == "^core$":
        return f"`core`, or {_range(field)}"
    if "number" in kinds and "string" in kinds:
        return "quantity, such as `100M` or `1Gi`"
    if "integer" in kinds and "string" in kinds:
        return f"percent, {_range(field)}, or quantity"
    if "integer" in kinds or "number" in kinds:
        return _range(field)
    return {"boolean": "`true`, `false`", "string": "text"}.get(kinds[0], kinds[0]) if kinds else "anything"


def _item(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    like = _like(field, definitions)
    return f"[{like}](#{like.lower()})" if like else _value(field, definitions)


def _range(field: dict[str, Any]) -> str:
    low, high = field.get("minimum"), field.get("maximum")
    kind = "number" if "number" in field["type"] else "whole number"
    if low is None and high is None:
        return kind
    return f"{low} to {high}" if high is not None else f"{kind}, at least {low}"


def _default(field: dict[str, Any]) -> str:
    value = field.get("default")
    return "" if value is None or value in ("", [], (), {}) else f"`{json.dumps(value).strip(chr(34))}`"


def _differences(field: dict[str, Any], definition: dict[str, Any], definitions: dict[str, Any]) -> str:
    """Defaults that differ from those of the definition; a block's have its name in front."""
    blocks, values = [], []
    for name, inner in field["properties"].items():
        if "properties" in inner:
            if own := _differences(inner, definitions[_like(inner, definitions)], definitions):
                blocks.append(f"{name}: {own}")
        elif (value := _default(inner)) != _default(definition["properties"].get(name, {})):
            values.append(f"{name} {value}")
    return "; ".join([*filter(None, [", ".join(values)]), *blocks])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def main() -> int:
    """Return the exit code."""
    return keep({PAGE: page()}, "the policy's JSON Schema", "tools/policy_page.py")


if __name__ == "__main__":
    sys.exit(main())
