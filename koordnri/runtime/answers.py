"""Sends one request to all plugins in their order and merges their answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from koordnri.runtime.adjustments import Adjustments
from koordnri.runtime.plugins import Plugins
from koordnri.runtime.updates import Updates
from koordnri.wire import api_pb2 as api
from koordnri.wire.events import NRIEvent
from koordnri.wire.versions import Version


def adjustments(plugins: Plugins, request: api.CreateContainerRequest, version: Version) -> Adjustments:
    """The plugins' merged adjustments of a container, which the validators among them (NRI >= 0.10) have accepted.

    Raises EventFailed and Conflict; then the container is not created.
    """
    merged = Adjustments(request, version)
    validators = [p for p in plugins if p.events & NRIEvent.VALIDATE_CONTAINER_ADJUSTMENT.bit]
    pristine = api.Container()
    pristine.CopyFrom(request.container)
    asked: list[api.PluginInstance] = []
    try:
        for peer in plugins:
            if not peer.closed:
                asked.append(api.PluginInstance(name=peer.name, index=peer.index))
            answer: Any = plugins.ask(peer, NRIEvent.CREATE_CONTAINER, request)
            if answer is not None:
                merged.apply(answer, peer.full_name)
        for peer in validators:
            plugins.validate(peer, _validation(request.pod, pristine, merged, asked))
    finally:
        plugins.prune()
    return merged


def updates(plugins: Plugins, event: NRIEvent, request: Any, merged: Updates) -> None:
    """Merge the plugins' answers to an event whose reply holds updates. Raises EventFailed and Conflict."""
    try:
        for peer in plugins:
            answer: Any = plugins.ask(peer, event, request)
            if answer is not None:
                merged.apply(answer.update, peer.full_name)
    finally:
        plugins.prune()


def _validation(
    pod: api.PodSandbox, pristine: api.Container, merged: Adjustments, asked: Iterable[api.PluginInstance]
) -> api.ValidateContainerAdjustmentRequest:
    return api.ValidateContainerAdjustmentRequest(
        pod=pod,
        container=pristine,
        adjust=merged.adjust,
        update=merged.updates.others.values(),
        owners=merged.owners.message(),
        plugins=asked,
    )
