"""API objects as JSON, limited to the fields that koordnri reads. The decoder skips other fields, so they cost no memory."""

from __future__ import annotations

from typing import Annotated

import msgspec


class Owner(msgspec.Struct):
    """An object that another one belongs to."""

    kind: str = ""
    controller: bool | None = None
    """whether it is the one that manages the other"""


class Metadata(msgspec.Struct, rename="camel"):
    """`metadata` of an object."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    deletion_timestamp: str = ""
    owner_references: list[Owner] | None = None


class Object(msgspec.Struct):
    """Any object. In a list it may lack its kind, in a watch not."""

    metadata: Metadata
    kind: str = ""


class VersionOnly(msgspec.Struct, rename="camel"):
    """`metadata` of a bookmark."""

    resource_version: str = ""


class ListMetadata(msgspec.Struct, rename="camel"):
    """`metadata` of a list."""

    resource_version: str = ""
    rest: str = msgspec.field(default="", name="continue")
    """token for the next page; "": this is the last one"""


class Bookmark(msgspec.Struct):
    """Version up to which the server has sent all changes."""

    kind: str
    metadata: VersionOnly


class ObjectList(msgspec.Struct):
    """A list without its objects. They are decoded one by one, so that a bad one costs only itself."""

    kind: str
    metadata: ListMetadata
    items: Annotated[list[msgspec.Raw], msgspec.Meta(max_length=0)] | None = None


class Line(msgspec.Struct):
    """One line of a watch."""

    type: str
    object: msgspec.Raw


class ApiStatus(msgspec.Struct):
    """An error answer of the API server."""

    kind: str = ""
    message: str = ""
    reason: str = ""
    code: int = 0


DECODE_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""what the decoder raises for input of the wrong form"""
decode_bookmark = msgspec.json.Decoder(Bookmark).decode
decode_line = msgspec.json.Decoder(Line).decode
decode_list = msgspec.json.Decoder(ObjectList).decode
decode_status = msgspec.json.Decoder(ApiStatus).decode
