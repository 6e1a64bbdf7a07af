"""Compares what a container of `koordnri verify` lives under with what was expected. The answer of koordnri.answers.explain has it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from koordnri.cli.decision_table import shown
from koordnri.cli.verify_expected import Expected
from koordnri.cli.verify_pods import CONTAINER
from koordnri.host.cgroup.spelling import form
from koordnri.model import CPUSet, Field, fields
from koordnri.model.routes import CONTROL

Shape = Mapping[str, Any]


class Found(NamedTuple):
    """What one class's container lives under."""

    values: Mapping[Field, Any]
    """that the kernel has, each in the field's unit; of cpu.cpus the CPUs in effect"""
    problems: tuple[str, ...]
    """what is not as expected; () when all is"""
    notes: tuple[str, ...] = ()
    """what is otherwise than expected, and right"""


def exclusive_cpus(shape: Shape) -> CPUSet:
    """The exclusive CPUs of the container, as the daemon says."""
    return CPUSet.parse(shape["cpus"]["exclusive"].get(CONTAINER, ""))


def judge(expected: Expected, shape: Shape, cgroup_version: int, taken: CPUSet) -> Found:
    """`taken`: exclusive CPUs of another container, off which all but BestEffort containers stay."""
    container = next((one for one in shape["containers"] if one["name"] == CONTAINER), None)
    if container is None:
        return Found({}, ("koordnri has not seen its container",))
    values, controlled = dict(_kernel(expected, container)), _controlled(container)
    lasting = {field: value for field, value in expected.values.items() if field.name not in controlled}
    problems = [*_of_pod(expected, shape), *_of_values(lasting, values, cgroup_version)]
    problems += _of_cpus(expected, shape, values.get(fields.CPU_CPUS), taken)
    problems += [*_disagreeing("its pod's ", shape["pod"]), *_disagreeing("", container, lasting)]
    found = {field: value for field, value in values.items() if value not in (None, "")}
    notes = [f"{field.name} by a controller: {controlled[field.name]}" for field in found if field.name in controlled]
    return Found(found, tuple(problems), tuple(notes))


def text_of(values: Mapping[Field, Any]) -> str:
    """`cpu.quota 40000, memory.limit 67108864 (64 MiB)`."""
    return ", ".join(f"{field.name} {shown(field, value)}" for field, value in values.items())


def _kernel(expected: Expected, container: Shape) -> Iterator[tuple[Field, Any]]:
    known = {**container["untouched"], **container["observed"], **container["fields"]}
    for field in expected.sample.fields:
        if (one := known.get(field.name)) is not None:
            yield field, one.get("effective") or one["kernel"]


def _controlled(container: Shape) -> dict[str, str]:
    """Field → why a feedback controller wants another value than the policy, for now. What was expected is the policy's."""
    return {name: field["reason"] for name, field in container["fields"].items() if field["route"] == CONTROL}


def _of_pod(expected: Expected, shape: Shape) -> Iterator[str]:
    if shape["leftAlone"]:
        yield shape["leftAlone"]
    if (qos := shape["pod"]["qos"]) != expected.sample.qos:
        yield f'expected QoS class "{expected.sample.qos}", koordnri reads "{qos}": an admission webhook changed the pod'
    yield from (f"{error['hook']}: {error['message']}" for error in shape["errors"])


def _of_values(expected: Mapping[Field, Any], values: Mapping[Field, Any], cgroup_version: int) -> Iterator[str]:
    for field, wanted in expected.items():
        spelled = form(field, cgroup_version)
        if spelled is not None and not spelled.same(wanted, values.get(field)):
            found = shown(field, values.get(field)) or "nothing that can be read"
            yield f"{field.name}: expected {shown(field, wanted)}, found {found}"


def _of_cpus(expected: Expected, shape: Shape, effective: Any, taken: CPUSet) -> Iterator[str]:
    runs_on, own = CPUSet.parse(str(effective or "")), exclusive_cpus(shape)
    if expected.exclusive:
        lacking = shape["cpus"]["lacking"].get(CONTAINER, "")
        if len(own) != expected.exclusive:
            yield f"expected {_number(expected.exclusive)}, got {own or 'none'}" + (f": {lacking}" if lacking else "")
        elif runs_on != own:
            yield f"it runs on CPUs {runs_on or 'unknown'}, and its exclusive ones are {own}"
    elif shape["pod"]["kubeQoS"] != "BestEffort" and (crossing := runs_on & taken):
        yield f"it runs on exclusive CPUs of the LSR pod: {crossing}"


def _number(cpus: int) -> str:
    return f"{cpus} exclusive {'CPU' if cpus == 1 else 'CPUs'}"


def expected_text(expected: Expected) -> str:
    """`1 exclusive CPU, cpu.quota -1 (unlimited), …`."""
    cpus = _number(expected.exclusive) if expected.exclusive else ""
    shared = f"shared CPUs ({expected.why_shared})" if expected.why_shared else ""
    return ", ".join(filter(None, (cpus, shared, text_of(expected.values))))


def found_text(found: Found) -> str:
    """The kernel's values, then why some are otherwise than expected, then what is wrong."""
    return "; ".join(filter(None, (text_of(found.values), *found.notes, *found.problems)))


def _disagreeing(whose: str, cgroup: Shape, judged: Collection[Field] = ()) -> Iterator[str]:
    """Decided fields that the kernel has otherwise, but for those that are judged already."""
    names = {field.name for field in judged}
    for name, field in cgroup["fields"].items():
        if field["agrees"] is False and name not in names:
            yield f"{whose}{name}: decided {field['value']}, found {field['kernel']}"
