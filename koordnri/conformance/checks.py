"""What a runtime expects of a plugin: one function per behaviour. Each gets a plugin that was just started, and raises Violation."""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import NamedTuple

from koordnri.conformance.link import Link
from koordnri.conformance.session import Session, container, decoded, pod, request_of
from koordnri.conformance.subject import Subject
from koordnri.conformance.violation import NotHere, Violation
from koordnri.runtime import Runtime
from koordnri.runtime.errors import CRIError
from koordnri.wire import api_pb2 as api
from koordnri.wire import mux, ttrpc
from koordnri.wire.errors import Code
from koordnri.wire.events import NRIEvent, events_of
from koordnri.wire.versions import Feature, Version, has, valid_event_mask

LARGE_BYTES = 1 << 20
_UNKNOWN_FIELD = b"\xc0\x3e\x01"
"""Field 1000 with the number 1."""


class Check(NamedTuple):
    """One behaviour.

    code     stable, for scripts
    title    what is expected, as a sentence about the plugin
    started  whether the plugin runs already when the check begins
    first    whether nothing else can be checked when this fails
    """

    code: str
    title: str
    run: Callable[[Subject, Version], None]
    started: bool = True
    first: bool = False


def _registers(subject: Subject, version: Version) -> None:
    Session(subject, version).register()


def _is_ready_before_it_registers(subject: Subject, version: Version) -> None:
    session = Session(subject, version)
    stream = session.register()
    session.configure()  # some runtimes send it before they answer RegisterPlugin
    session.link.reply(stream)
    session.synchronize()


def _subscribes_to_what_there_is(subject: Subject, version: Version) -> None:
    session = Session(subject, version)
    session.link.reply(session.register())
    session.configure()
    if session.unknown_events:
        valid = valid_event_mask(version)
        raise Violation(
            f"expected events among {valid:#x}, got {session.unknown_events:#x} beside them: this runtime hangs up on it"
        )


def _synchronizes(subject: Subject, version: Version) -> None:
    session = Session(subject, version)
    session.link.reply(session.register())
    session.configure()
    if session.synchronize(pods=20).more:
        raise Violation("Synchronize: expected `more` only in answers to parts, got it for the whole")


def _takes_synchronize_in_parts(subject: Subject, version: Version) -> None:
    if not has(version, Feature.SPLIT_SYNC):
        raise NotHere("before NRI 0.7, Synchronize comes whole")
    session = Session(subject, version)
    session.link.reply(session.register())
    session.configure()
    for number in ("0", "1", "2"):
        part = api.SynchronizeRequest(pods=[pod(number)], containers=[container(number, number)], more=number != "2")
        payload = session.link.call("Synchronize", part, f"part {int(number) + 1} of Synchronize")
        answer = decoded(api.SynchronizeResponse.FromString, payload, "Synchronize")
        if answer.more != part.more:
            raise Violation(
                f"part {int(number) + 1} of 3: expected `more` {part.more} in the answer, got {answer.more}"
            )
        if part.more and answer.update:
            raise Violation("expected no updates before the last part, which replace those of earlier answers")


def _answers_its_events(subject: Subject, version: Version) -> None:
    session = Session(subject, version).open()
    for event in session.events:
        session.event(event)


def _answers_what_it_did_not_ask_for(subject: Subject, version: Version) -> None:
    session = Session(subject, version).open()
    for event in events_of(valid_event_mask(version)):
        if event not in session.events and event is not NRIEvent.VALIDATE_CONTAINER_ADJUSTMENT:
            session.event(event)


def _answers_unknown_events(subject: Subject, version: Version) -> None:
    link = Session(subject, version).open().link
    event = b"\x08\x63" + api.StateChangeEvent(pod=pod()).SerializeToString()  # number 99
    link.call("StateChange", event, "StateChange of an unknown event")


def _survives_unknown_fields(subject: Subject, version: Version) -> None:
    session = Session(subject, version).open()
    for event in session.events:
        method, message = request_of(event, version)
        if hasattr(message, "container"):
            message.container.state = 77  # no such state
        session.link.call(method, message.SerializeToString() + _UNKNOWN_FIELD, f"{event.name} with an unknown field")


def _takes_any_split(subject: Subject, version: Version) -> None:
    link, data = _opened(subject, version)
    for cut in (1, 3, 7):
        _expect_ok(link, link.ask(data, cut=cut), f"a request in writes of {cut} bytes")
    head = Struct(">IIBB").pack(len(data), 999, ttrpc.REQUEST, 0) + data
    for at in range(0, len(head), 5):  # one request in many frames
        piece = head[at : at + 5]
        link.write(Struct(">II").pack(mux.PLUGIN_CONN, len(piece)) + piece)
    _expect_ok(link, 999, "a request in mux frames of 5 bytes")


def _ignores_other_connections(subject: Subject, version: Version) -> None:
    link, data = _opened(subject, version)
    for conn, payload in ((0, b"x"), (9, b"yy"), (mux.PLUGIN_CONN, b"")):
        link.write(Struct(">II").pack(conn, len(payload)) + payload)
        _expect_ok(link, link.ask(data), f"a request after a frame of {len(payload)} bytes on connection {conn}")


def _takes_large_messages(subject: Subject, version: Version) -> None:
    session = Session(subject, version).open()

    def grow(message: api.CreateContainerRequest) -> None:
        message.container.env.extend(f"N{n}={'x' * 1000}" for n in range(LARGE_BYTES // 1000))

    session.event(NRIEvent.CREATE_CONTAINER, grow)


def _sends_payloads_that_go_can_read(subject: Subject, version: Version) -> None:
    session = Session(subject, version).open()
    for event in session.events:
        session.event(event)
    previous = 0
    for conn, size in session.link.payload_bytes:
        if size > mux.SAFE_PAYLOAD_BYTES and previous != mux.SAFE_PAYLOAD_BYTES:
            raise Violation(
                f"expected payloads of at most {mux.SAFE_PAYLOAD_BYTES} bytes, got {size} on connection {conn}: Go's reader fails"
            )
        previous = size


def _refuses_unknown_methods(subject: Subject, version: Version) -> None:
    link, data = _opened(subject, version)
    for service, method in (("no.such.Service", "CreateContainer"), ("", "NoSuchMethod")):
        what = f"{service or 'the service'}.{method}"
        request = link.request(method, b"", service) if service else link.request(method, b"")
        _expect(link, link.ask(request), Code.UNIMPLEMENTED, what)
    _expect_ok(link, link.ask(data), "a request after unknown ones")


def _answers_after_a_broken_request(subject: Subject, version: Version) -> None:
    link, data = _opened(subject, version)
    answer = link.answer(link.ask(b"\xff\xff\xff"), "a request that cannot be decoded")
    if not answer.status.code:
        raise Violation("a request that cannot be decoded: expected an error, got OK")
    _expect_ok(link, link.ask(data), "a request after a broken one")


def _ignores_unknown_frames(subject: Subject, version: Version) -> None:
    link, data = _opened(subject, version)
    link.ask(b"anything", kind=77)
    _expect_ok(link, link.ask(data), "a request after a frame of an unknown type")
    _expect_ok(link, link.ask(data, flags=0x80), "a request with an unknown flag")


def _lives_through_a_pods_life(subject: Subject, version: Version) -> None:
    """On the embedded runtime, which applies what the plugin answers."""
    if subject.launched:
        raise NotHere("needs {socket} in the command")
    with Runtime(subject.path, version) as runtime:
        subject.start(listen=False)
        try:
            peer = runtime.wait_for_plugin(subject.patience_s)
            sandbox, main = pod(), container()
            runtime.run_pod_sandbox(sandbox)
            runtime.create_container(sandbox.id, main)
            runtime.start_container(main.id)
            resources = api.LinuxResources()
            resources.cpu.shares.value = 256
            runtime.update_container(main.id, resources)
            runtime.stop_container(main.id)
            runtime.remove_container(main.id)
            runtime.stop_pod_sandbox(sandbox.id)
            runtime.remove_pod_sandbox(sandbox.id)
        except (CRIError, TimeoutError) as error:
            raise Violation(f"expected a pod's life without an error: {error}") from None
        if errors := [f"{call.event}: {call.error}" for call in runtime.calls if call.error]:
            raise Violation(f"expected every event to be answered: {'; '.join(errors)}")
        if peer not in runtime.plugins:
            raise Violation(f"expected it to stay connected, the runtime noticed: {'; '.join(runtime.log)}")


def _comes_back_or_ends(subject: Subject, version: Version) -> None:
    Session(subject, version).open().link.close()
    if not subject.comes_back_or_ends():
        raise Violation(
            f"expected it to connect again, or to end, within {subject.patience_s:g} s of losing the runtime"
        )


def _ends_on_sigterm(subject: Subject, version: Version) -> None:
    Session(subject, version).open()
    if not subject.terminate():
        raise Violation(f"expected it to end within {subject.patience_s:g} s of SIGTERM, it runs on")


def _opened(subject: Subject, version: Version) -> tuple[Link, bytes]:
    """A connection after the handshake, and a request that is answered OK."""
    link = Session(subject, version).open().link
    message = api.StateChangeEvent(event=api.RUN_POD_SANDBOX, pod=pod())
    return link, link.request("StateChange", message.SerializeToString())


def _expect_ok(link: Link, stream: int, what: str) -> None:
    _expect(link, stream, Code.OK, what)


def _expect(link: Link, stream: int, code: int, what: str) -> None:
    status = link.answer(stream, what).status
    if status.code != code:
        raise Violation(f"{what}: expected code {int(code)}, got {status.code}: {status.message or 'no text'}")


CHECKS = (
    Check("CF01", "registers with a valid name and index", _registers, first=True),
    Check("CF02", "can be configured before its registration is answered", _is_ready_before_it_registers),
    Check("CF03", "subscribes only to events that this runtime has", _subscribes_to_what_there_is),
    Check("CF04", "answers Synchronize", _synchronizes),
    Check("CF05", "takes Synchronize in parts, and repeats `more`", _takes_synchronize_in_parts),
    Check("CF06", "answers each event that it subscribed to", _answers_its_events),
    Check("CF07", "answers events that it did not subscribe to", _answers_what_it_did_not_ask_for),
    Check("CF08", "answers events that it does not know", _answers_unknown_events),
    Check("CF09", "survives unknown fields and enum values", _survives_unknown_fields),
    Check("CF10", "takes requests however they are split", _takes_any_split),
    Check("CF11", "ignores unknown connections and empty frames", _ignores_other_connections),
    Check("CF12", "takes a message of 1 MiB", _takes_large_messages),
    Check("CF13", "sends mux payloads that Go's reader takes", _sends_payloads_that_go_can_read),
    Check("CF14", "answers unknown services and methods by Unimplemented", _refuses_unknown_methods),
    Check("CF15", "answers after a request that cannot be decoded", _answers_after_a_broken_request),
    Check("CF16", "ignores unknown frame types and flags", _ignores_unknown_frames),
    Check(
        "CF17", "lives through a pod's life, and its answers can be applied", _lives_through_a_pods_life, started=False
    ),
    Check("CF18", "comes back or ends when the runtime goes away", _comes_back_or_ends),
    Check("CF19", "ends on SIGTERM", _ends_on_sigterm),
)
