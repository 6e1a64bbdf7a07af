"""API objects as JSON, as far as we read them. Unknown fields are skipped by the decoder and cost no memory."""

from __future__ import annotations

from typing import Annotated

import msgspec


class Metadata(msgspec.Struct, rename="camel"):
    """`metadata` of an object."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class Object(msgspec.Struct):
    """Any object. In a list the kind may be left out, in a watch it may not."""

    metadata: Metadata
    kind: str = ""


class VersionOnly(msgspec.Struct, rename="camel"):
    """`metadata` of a bookmark."""

    resource_version: str = ""


class ListMetadata(msgspec.Struct, rename="camel"):
    """`metadata` of a list."""

    resource_version: str = ""
    rest: str = msgspec.field(default="", name="continue")
    """what to ask for the next page with; "": this is the last one"""


class Bookmark(msgspec.Struct):
    """How far the server has looked for us."""

    kind: str
    metadata: VersionOnly


class ObjectList(msgspec.Struct):
    """A list without its objects, which are taken out one by one, so that a bad one does not cost the others."""

    kind: str
    metadata: ListMetadata
    items: Annotated[list[msgspec.Raw], msgspec.Meta(max_length=0)] | None = None


class Line(msgspec.Struct):
    """One line of a watch."""

    type: str
    object: msgspec.Raw


class Status(msgspec.Struct):
    """How the API server says no."""

    kind: str = ""
    message: str = ""
    reason: str = ""
    code: int = 0


DECODE_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""what a decoder raises on text that is not the thing"""
decode_bookmark = msgspec.json.Decoder(Bookmark).decode
decode_line = msgspec.json.Decoder(Line).decode
decode_list = msgspec.json.Decoder(ObjectList).decode
decode_status = msgspec.json.Decoder(Status).decode
