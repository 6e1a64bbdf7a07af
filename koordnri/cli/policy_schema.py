"""The JSON Schema of a policy, for editors and for generators of policies.

It is generated from the types that the daemon's reader reads. Apart from letter case it accepts all that the daemon accepts. The daemon
refuses more: rules between two values are not in the schema.
"""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import textwrap
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from koordnri.model.cpuset import MAX_CPU
from koordnri.policy.document import IGNORED, SHAPES
from koordnri.policy.reader import Document
from koordnri.policy.scalars import CORE, CORE_OR_COUNT, PERCENT_OR_QUANTITY, QUANTITY, TextForm
from koordnri.policy.section import Shape
from koordnri.policy.selector import NodeSelector

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ABOUT = (
    "The data of the policy's ConfigMap. Each key's value is a mapping, or the JSON or YAML text of one, which this schema does"
    " not look into; null is as if nothing were written. Keys match whatever their letter case; this schema knows the usual"
    " spelling only. Rules between two values are not in it: `koordnri policy check` knows all. Where a description says None,"
    " it means a value that is not given."
)
_ABOUT_NODES = (
    "For the nodes that nodeSelector means, the first match wins. Laid over the cluster's strategy: what is not set here is as"
    " there, whatever default is shown."
)
_QUANTITY_PATTERN = r"^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?$"
"""Grammar of koordnri.model.quantity without a minus. The daemon accepts -0.5 where 0 is allowed, since it rounds up; nobody means that."""
_SCALARS = {bool: "boolean", int: "integer", float: "number", str: "string"}


def policy_schema() -> dict[str, Any]:
    """The schema of the mapping whose keys are `resource-qos-config` and the others."""
    definitions = _Definitions()
    keys = {key: definitions.section(shape) for key, shape in SHAPES.items()}
    keys |= {key: {"description": f"Ignored: {reason}."} for key, reason in IGNORED.items()}
    return {
        "$schema": _DIALECT,
        "title": "koordnri policy",
        "description": _ABOUT,
        "type": "object",
        "properties": keys,
        "$defs": dict(sorted(definitions.by_name.items())),
    }


class _Definitions:
    """Turns types into schemas. It understands the same types as koordnri.policy.reader.

    A Struct with its own defaults becomes one definition that others refer to. If defaults differ by use (the QoS classes), the Struct
    is written out there, so that the default next to a name is always the one that holds.
    """

    def __init__(self) -> None:
        self.by_name: dict[str, dict[str, Any]] = {}

    def section(self, shape: Shape) -> dict[str, Any]:
        """The value of one key of the document; see koordnri.policy.section."""
        type_ = type(shape.defaults)
        strategy = self._definition(type_)
        fields = {
            name: {"$ref": f"{strategy['$ref']}/properties/{name}"}
            for name in self.by_name[type_.__name__]["properties"]
        }
        node = _closed(
            type_,
            {
                "type": "object",
                "required": ["nodeSelector"],
                "properties": {
                    "name": {"type": ["string", "null"], "description": "Shown as the strategy that was taken."},
                    "nodeSelector": {**self._definition(NodeSelector), "type": "object", "minProperties": 1},
                    **fields,
                },
            },
        )
        parts: dict[str, Any] = {"clusterStrategy": strategy} if shape.has_cluster_key else {}
        parts[shape.nodes_key] = {"description": _ABOUT_NODES, "type": ["array", "null"], "items": node}
        return _closed(type_, {"type": ["object", "string", "null"], "properties": {**parts, **fields}})

    def of(self, type_: Any, default: Any, optional: bool) -> dict[str, Any]:
        """The schema of a type.

        default: value when nothing is written; None: no default.
        optional: whether null (for a choice also an empty text) counts as not written.
        """
        if isinstance(type_, type) and issubclass(type_, Document):
            return self._struct(type_, default) if optional else {**self._definition(type_), "type": "object"}
        origin, arguments = get_origin(type_), get_args(type_)
        if origin in (Union, types.UnionType) and arguments[1:] == (type(None),):
            return self.of(arguments[0], default, optional)
        shape = self._plain(type_, origin, arguments)
        if optional and "enum" in shape:
            shape["enum"] += ["", None]
        elif optional and "type" in shape:
            kinds = shape["type"]
            shape["type"] = [*(kinds if isinstance(kinds, list) else [kinds]), "null"]
        if default is not None:
            shape["default"] = msgspec.to_builtins(default)
        return shape

    def _plain(self, type_: Any, origin: Any, arguments: tuple[Any, ...]) -> dict[str, Any]:
        if type_ is Any:
            return {}
        if type_ in _SCALARS:
            return {"type": _SCALARS[type_]}
        if origin is Annotated:
            return _annotated(arguments[0], arguments[1:])
        if origin is Literal:
            # YAML turns unquoted off into false; the reader accepts that.
            return {"enum": [*arguments, False] if "off" in arguments else list(arguments)}
        if origin in (list, tuple):
            return {"type": "array", "items": self.of(arguments[0], None, optional=False)}
        if origin is dict and arguments[0] is str:
            return {"type": "object", "additionalProperties": self.of(arguments[1], None, optional=True)}
        raise TypeError(f"{type_!r} is not a type that documents can be read as")

    def _struct(self, type_: type[Document], value: Document | None) -> dict[str, Any]:
        own = _own_defaults(type_)
        defaults = own if value is None else {name: getattr(value, name) for name in own}
        return self._definition(type_) if defaults == own else self._object(type_, defaults)

    def _definition(self, type_: type[Document]) -> dict[str, Any]:
        name = type_.__name__
        if name not in self.by_name:
            self.by_name[name] = self._object(type_, _own_defaults(type_))
        return {"$ref": f"#/$defs/{name}"}

    def _object(self, type_: type[Document], defaults: dict[str, Any]) -> dict[str, Any]:
        others = getattr(type_, "others_field", None)
        descriptions = _descriptions(type_)
        properties: dict[str, Any] = {}
        shape: dict[str, Any] = {"type": ["object", "null"], "properties": properties}
        required = []
        for info in msgspec.structs.fields(type_):
            if info.name == others:
                shape["additionalProperties"] = self.of(get_args(info.type)[1], None, optional=True)
                continue
            field = self.of(info.type, defaults.get(info.name), optional=not info.required)
            if info.name in descriptions:
                field = {"description": descriptions[info.name], **field}
            properties[info.encode_name] = field
            if info.required:
                required.append(info.encode_name)
        if required:
            shape["required"] = required
        return _closed(type_, shape)


def _closed(type_: type[Document], shape: dict[str, Any]) -> dict[str, Any]:
    """For a type that refuses unknown keys. Elsewhere they cause warnings, which a schema cannot express."""
    return {**shape, "additionalProperties": False} if type_.__struct_config__.forbid_unknown_fields else shape


def _annotated(type_: Any, marks: tuple[Any, ...]) -> dict[str, Any]:
    if PERCENT_OR_QUANTITY in marks:
        return {"type": ["integer", "string"], "minimum": 0, "maximum": 100, "pattern": _QUANTITY_PATTERN}
    if CORE_OR_COUNT in marks:
        return {"type": ["integer", "string"], "minimum": 0, "maximum": MAX_CPU, "pattern": f"^{CORE}$"}
    for form in (mark for mark in marks if isinstance(mark, TextForm)):
        return {"type": "string", "pattern": form.pattern}
    shape: dict[str, Any] = {"type": _SCALARS[type_]}
    if QUANTITY in marks:
        shape = {"type": ["number", "string"], "pattern": _QUANTITY_PATTERN}
    for meta in (mark for mark in marks if isinstance(mark, msgspec.Meta)):
        bounds = {
            "minimum": meta.ge,
            "maximum": meta.le,
            "exclusiveMinimum": meta.gt,
            "minLength": meta.min_length,
        }
        shape |= {word: bound for word, bound in bounds.items() if bound is not None}
    return shape


def _own_defaults(type_: type[Document]) -> dict[str, Any]:
    """Default by field name, without the fields that have none."""
    found = {}
    for info in msgspec.structs.fields(type_):
        if info.default_factory is not msgspec.NODEFAULT:
            found[info.name] = info.default_factory()
        elif info.default is not msgspec.NODEFAULT:
            found[info.name] = info.default
    return found


@functools.cache
def _descriptions(type_: type[Document]) -> dict[str, str]:
    """Field name → the text below the field, read from the source because Python drops it; empty without the source."""
    found: dict[str, str] = {}
    for parent in reversed(type_.__mro__):
        if not issubclass(parent, Document):
            continue
        try:
            source = inspect.getsource(parent)
        except OSError:
            continue
        definition = ast.parse(textwrap.dedent(source)).body[0]
        assert isinstance(definition, ast.ClassDef)
        for field, text in itertools.pairwise(definition.body):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                    found[name] = " ".join(words.split())
    return found
