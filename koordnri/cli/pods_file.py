"""The file behind `-f`: manifests of pods, and of their namespaces.

YAML with one or many documents, or JSON. Pods are taken as they are, also from a List (the output of `kubectl get pods -o yaml`). A
workload gives one pod from its template, named `<workload>-0`. Of a Namespace the labels are read, for trust
rules that select by them. Other kinds are skipped, with a note.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec
from msgspec import field

from koordnri.cli.manifest_text import documents
from koordnri.cli.text_file import read_text
from koordnri.kubelet import PodManifest
from koordnri.policy.errors import DocumentError, Mistake, bounded, shown
from koordnri.policy.reader import Document, read
from koordnri.policy.report import Report
from koordnri.policy.units import Namespace

MAX_BYTES = 64 << 20
"""Ten times what `kubectl get pods -A -o yaml` prints for a full node."""

_TEMPLATES = {
    "Deployment": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "PodTemplate": ("template",),
}
"""Kind → path of its pod template."""

_LISTS = {"List": "", "PodList": "Pod", "NamespaceList": "Namespace"}
"""Kind of a list → kind of its items, which may lack it; "" where each has its own."""

_DOCUMENT = re.compile(r"document \d+")


class PodPlace(NamedTuple):
    """Where a pod is, according to its status."""

    node: str = ""
    """the node's name; "" when the pod is not scheduled"""
    ended: bool = False
    """whether all its containers have ended for good"""


class PodsFile(NamedTuple):
    """The pods of a file."""

    pods: list[PodManifest]
    """with name and namespace filled in"""
    notes: list[str]
    """what was skipped"""
    places: list[PodPlace]
    """one for each pod"""
    namespaces: dict[str, dict[str, str]]
    """name of a Namespace → its labels"""


class NamespaceMetadata(Document, frozen=True):
    """`metadata` of a Namespace."""

    name: Namespace
    labels: dict[str, str] = field(default_factory=dict)


class NamespaceManifest(Document, frozen=True):
    """A Namespace; nothing else of it counts."""

    metadata: NamespaceMetadata


class _Found(NamedTuple):
    where: str
    """prefix of every mistake: the document if there are several, and the path in it"""
    value: Any
    fallback_name: str
    namespace: str


def read_pods(path: str) -> PodsFile:
    """The pods in a file, or on standard input for "-". Raises DocumentError with all mistakes, also when there is no pod."""
    return load_pods(read_text(path, MAX_BYTES, stdin=True))


def load_pods(text: str) -> PodsFile:
    """The pods in a text. Raises DocumentError."""
    found_documents = documents(text)
    mistakes: list[Mistake] = []
    notes: list[str] = []
    pods: list[PodManifest] = []
    places: list[PodPlace] = []
    namespaces: dict[str, dict[str, str]] = {}
    names: dict[tuple[str, str], str] = {}
    for document in found_documents:
        where = f"document {document.outline.number}" if len(found_documents) > 1 else ""
        for found in _pods_in(document.value(), document.items(), where, mistakes, notes):
            if found.value.get("kind") == "Namespace":
                _add_namespace(found, namespaces, mistakes)
                continue
            manifest = _checked(found, len(pods) + 1, mistakes)
            if manifest is None:
                continue
            name = (manifest.metadata.namespace, manifest.metadata.name)
            if name in names:
                mistakes.append(
                    Mistake(_path(found.where, "metadata.name"), f"a second pod {'/'.join(name)}{names[name]}")
                )
            names[name] = f"; the first is in {found.where}" if found.where else ""
            pods.append(manifest)
            places.append(_place(found.value))
    if not pods and not mistakes:
        found_only = f" ({'; '.join(notes[:5])})" if notes else ""
        mistakes.append(Mistake("", f"expected a manifest of a Pod or of a workload, found none{found_only}"))
    if mistakes:
        raise DocumentError(mistakes)
    shown_notes = [str(note) for note in bounded([Mistake("", n) for n in notes], "notes")]
    return PodsFile(pods, shown_notes, places, namespaces)


def _add_namespace(found: _Found, namespaces: dict[str, dict[str, str]], mistakes: list[Mistake]) -> None:
    report = Report()
    manifest = read(NamespaceManifest, found.value, report)
    if report.mistakes:
        mistakes += [Mistake(_path(found.where, m.path), m.message) for m in report.mistakes]
        return
    name = manifest.metadata.name
    # The API server sets this label on every namespace.
    namespaces[name] = {**manifest.metadata.labels, "kubernetes.io/metadata.name": name}


def _place(pod: Any) -> PodPlace:
    """The place of a pod that was read without a mistake."""
    node, status = pod["spec"].get("nodeName"), pod.get("status")
    phase = status.get("phase") if isinstance(status, dict) else None
    return PodPlace(node if isinstance(node, str) else "", phase in ("Succeeded", "Failed"))


def _pods_in(
    document: Any, listed: Iterable[Any] | None, where: str, mistakes: list[Mistake], notes: list[str]
) -> Iterator[_Found]:
    """`listed`: the document's `items`, where it does not have them itself."""
    if not isinstance(document, dict):
        mistakes.append(Mistake(where, f"expected a Kubernetes manifest, got {shown(document)}"))
        return
    kind = document.get("kind")
    if not isinstance(kind, str):
        wrong = "it is missing" if kind is None else f"got {shown(kind)}"
        mistakes.append(Mistake(_path(where, "kind"), f"expected a kind such as Pod, {wrong}"))
    elif kind in ("Pod", "Namespace"):
        yield _Found(where, document, "", "")
    elif kind in _LISTS:
        items = listed
        if items is None:
            items = document.get("items")
            if not isinstance(items, list):
                mistakes.append(Mistake(_path(where, "items"), f"expected a list, got {shown(items)}"))
                return
        for index, item in enumerate(items):
            if (of := _LISTS[kind]) and isinstance(item, dict):
                item = {"kind": of, **item}
            yield from _pods_in(item, None, _path(where, f"items[{index}]"), mistakes, notes)
    elif kind in _TEMPLATES:
        yield from _template_of(document, kind, where, mistakes)
    else:
        notes.append(f"{where}: {kind} is passed over, it makes no pods".removeprefix(": "))


def _template_of(document: dict[str, Any], kind: str, where: str, mistakes: list[Mistake]) -> Iterator[_Found]:
    template: Any = document
    path = where
    for step in _TEMPLATES[kind]:
        template, path = template.get(step), _path(path, step)
        if not isinstance(template, dict):
            mistakes.append(Mistake(path, f"expected a mapping, got {shown(template)}"))
            return
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    name, namespace = metadata.get("name"), metadata.get("namespace")
    name = name if isinstance(name, str) and name else kind.lower()
    yield _Found(path, template, f"{name}-0", namespace if isinstance(namespace, str) else "")


def _checked(found: _Found, number: int, mistakes: list[Mistake]) -> PodManifest | None:
    try:
        json.dumps(found.value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError as error:
        # JSON can contain half of a surrogate pair. No API server stores that, and protobuf cannot encode it.
        broken = error.object[error.start].encode("ascii", "backslashreplace").decode()
        mistakes.append(Mistake(found.where, f"expected text that is Unicode, got the lone surrogate {broken}"))
        return None
    report = Report()
    manifest = read(PodManifest, found.value, report)
    if report.mistakes:
        mistakes += [Mistake(_path(found.where, m.path) if m.path else found.where, m.message) for m in report.mistakes]
        return None
    metadata = manifest.metadata
    name = found.fallback_name or metadata.name
    name = name or (f"{metadata.generate_name}0" if metadata.generate_name else f"pod-{number}")
    namespace = metadata.namespace or found.namespace or "default"
    return msgspec.structs.replace(manifest, metadata=msgspec.structs.replace(metadata, name=name, namespace=namespace))


def _path(where: str, step: str) -> str:
    """`document 2: items[0].spec.containers`; the document is named only if there are several."""
    if not where:
        return step
    return f"{where}: {step}" if _DOCUMENT.fullmatch(where) else f"{where}.{step}"
