"""The embedded runtime against NRI's own adaptation: the same plugins, the same requests, the same results and error texts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from koordnri.wire import api_pb2 as api
from koordnri.wire.errors import Code
from tests.runtime.adaptations import EmbeddedAdaptation, GoAdaptation, lack
from tests.runtime.readable import readable
from tests.runtime.scenarios import SCENARIOS, Scenario, Step
from tests.runtime.scripted_plugin import ScriptedPlugin
from tests.support.waiting import eventually

pytestmark = pytest.mark.full
Adaptation = GoAdaptation | EmbeddedAdaptation


@pytest.fixture(scope="module", autouse=True)
def program() -> None:
    if reason := lack():
        pytest.skip(reason)


def connect(stack: ExitStack, adaptation: Adaptation, socket: Path, nth: int, scenario: Scenario) -> ScriptedPlugin:
    """Let a plugin register, and wait until it gets events or has been refused."""
    script = scenario.plugins[nth]
    before = adaptation.count()
    plugin = ScriptedPlugin(socket, script.name, script.index or f"{nth:02}", answers=script.script())
    stack.enter_context(plugin)
    # NRI's own may close the connection for what Configure came to before it has written the answer to RegisterPlugin.
    eventually(lambda: not plugin.replies.empty() or plugin.hung_up.is_set(), "RegisterPlugin was answered, or the end")
    refused = not plugin.replies.empty() and plugin.reply().code != Code.OK
    if not refused:
        eventually(lambda: adaptation.count() > before or plugin.hung_up.is_set(), "the plugin registered or closed")
    return plugin


def play_step(adaptation: Adaptation, plugins: list[ScriptedPlugin], step: Step) -> Any:
    method, message, *place = step
    if method == "goes":
        plugins[place[0]].close()
        return None  # a runtime notices it at its next request
    if place:
        reply = plugins[place[0]].ask(method, message)
        return reply.code, reply.text, adaptation.count()
    outcome = adaptation.ask(method, message)
    # protobuf for Go writes one of two kinds of space, so that nobody relies on its texts.
    text = outcome.error.replace("\xa0", " ")
    return text or readable(outcome.response or api.Empty()), adaptation.count()


def play(make: Callable[[Path, float], Adaptation], socket: Path, scenario: Scenario) -> dict[str, Any]:
    """All that can be noticed of it."""
    with make(socket, scenario.timeout_s) as adaptation, ExitStack() as stack:
        adaptation.state(scenario.state)
        plugins = [connect(stack, adaptation, socket, nth, scenario) for nth in range(len(scenario.plugins))]
        results = [play_step(adaptation, plugins, step) for step in scenario.steps]
        return {
            "results and plugins that remain": results,
            "asked by plugins": [readable(update) for update in adaptation.asked()],
            "seen": [[(method, readable(message)) for method, message in plugin.all_seen()] for plugin in plugins],
        }


@pytest.mark.parametrize("name", SCENARIOS)
def test_both_do_the_same(name: str, tmp_path: Path) -> None:
    theirs = play(GoAdaptation, tmp_path / "go", SCENARIOS[name])
    ours = play(EmbeddedAdaptation, tmp_path / "own", SCENARIOS[name])
    assert ours == theirs


def test_the_comparison_sees_a_difference(tmp_path: Path) -> None:
    """Else the test above could not fail."""
    first, second = SCENARIOS["conflicts: a quota"], SCENARIOS["conflicts: a variable"]
    assert play(GoAdaptation, tmp_path / "a", first) != play(EmbeddedAdaptation, tmp_path / "b", second)
