"""Our api.proto against NRI's own: every name, number, type and label that NRI has, we have.

NRI's files come in a Debian package; the test set-up unpacks them to .cache/lab/nri-proto/VERSION/api.proto.
KOORDNRI_NRI_PROTO_DIR names another directory of that shape.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc

from koordnri.wire import api_pb2

REPO = Path(__file__).resolve().parents[2]
PROTO_DIR = Path(os.environ.get("KOORDNRI_NRI_PROTO_DIR", REPO / ".cache/lab/nri-proto"))
VERSIONS = sorted({"0.6.1", "0.8.0"} | {path.parent.name for path in PROTO_DIR.glob("*/api.proto")})


def facts(file: FileDescriptorProto) -> dict[str, object]:
    """What the wire and JSON depend on, by dotted name."""
    found: dict[str, object] = {}

    def enum(prefix: str, descriptor: EnumDescriptorProto) -> None:
        for value in descriptor.value:
            found[f"{prefix}.{descriptor.name}.{value.name}"] = value.number

    def message(prefix: str, descriptor: DescriptorProto) -> None:
        name = f"{prefix}.{descriptor.name}"
        found[name] = "message"
        for field in descriptor.field:
            found[f"{name}.{field.name}"] = (field.number, field.label, field.type, field.type_name)
        for nested in descriptor.nested_type:
            message(name, nested)
        for nested_enum in descriptor.enum_type:
            enum(name, nested_enum)

    for descriptor in file.message_type:
        message(file.package, descriptor)
    for enum_descriptor in file.enum_type:
        enum(file.package, enum_descriptor)
    for service in file.service:
        for method in service.method:
            found[f"{file.package}.{service.name}/{method.name}"] = (
                method.input_type,
                method.output_type,
                method.client_streaming,
                method.server_streaming,
            )
    return found


def ours() -> dict[str, object]:
    file = FileDescriptorProto()
    api_pb2.DESCRIPTOR.CopyToProto(file)
    return facts(file)


def parse(proto: Path, out: Path) -> FileDescriptorProto:
    arguments = ["protoc", f"-I{proto.parent}", f"--descriptor_set_out={out}", str(proto)]
    assert protoc.main(arguments) == 0, f"protoc cannot read {proto}"
    descriptors = FileDescriptorSet.FromString(out.read_bytes())
    return descriptors.file[0]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_fact_of_nris_proto_is_in_ours(version, tmp_path):
    proto = PROTO_DIR / version / "api.proto"
    if not proto.is_file():
        message = f"NRI {version}'s api.proto is not at {proto}: run `make test` as root on Debian, which unpacks it"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    theirs = facts(parse(proto, tmp_path / "descriptors"))
    # One past the last event, so it grows: 12 up to NRI 0.9.
    assert theirs.pop("nri.pkg.api.v1alpha1.Event.LAST") in (12, 15)
    mine = ours()
    assert {name: (fact, mine.get(name)) for name, fact in theirs.items() if mine.get(name) != fact} == {}
    assert len(theirs) > 200, "hardly anything was compared"


def test_the_comparison_sees_a_wrong_number(tmp_path):
    """Else the test above could not fail."""
    source = (REPO / "koordnri/wire/api.proto").read_text()
    wrong = tmp_path / "api.proto"
    wrong.write_text(source.replace("string runtime_handler = 7;", "string runtime_handler = 17;"))
    theirs = facts(parse(wrong, tmp_path / "descriptors"))
    name = "nri.pkg.api.v1alpha1.PodSandbox.runtime_handler"
    assert {key for key, fact in theirs.items() if ours()[key] != fact} == {name}


def test_the_descriptor_pool_name_is_ours_alone():
    """Else another package's api.proto in the same process would collide with it."""
    assert api_pb2.DESCRIPTOR.name == "koordnri/wire/api.proto"


@pytest.mark.parametrize("module", ["koordnri.wire.api_pb2", "koordnri.wire.ttrpc_pb2"])
def test_generated_code_is_importable_by_its_package_name(module):
    assert __import__(module, fromlist=["DESCRIPTOR"]) is sys.modules[module]
