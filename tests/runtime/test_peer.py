"""One plugin's connection: answers that do not come, and names that are refused."""

from pathlib import Path
from typing import Any

import pytest

from tests.runtime.lives import ENV, connected
from tests.runtime.scripted_plugin import Do
from tests.support.messages import container, pod


@pytest.mark.parametrize("answer", [Do.NOTHING, Do.HANG_UP])
def test_a_plugin_that_gives_no_answer_is_closed_and_has_no_say(tmp_path: Path, answer: Do) -> None:
    with connected(tmp_path, {"CreateContainer": answer}, {"CreateContainer": ENV}, timeout_s=2.0) as (
        runtime,
        plugins,
    ):
        runtime.run_pod_sandbox(pod())
        state = runtime.create_container("p1", container())
        assert state.env == {"A": "1"}
        assert state.owners == {"Env A": "01-p1"}
        assert plugins[0].hung_up.wait(10)
        assert [p.full_name for p in runtime.plugins] == ["01-p1"]
        assert [bool(c.error) for c in runtime.calls if c.event == "CREATE_CONTAINER"] == [True, False]


def test_an_answer_on_another_stream_is_no_answer(tmp_path: Path) -> None:
    def answer(_: Any) -> Do:
        assert plugin.last is not None
        plugin.send(plugin.connection.reply(plugin.last._replace(stream=plugin.last.stream + 2), ENV))
        return Do.NOTHING

    with connected(tmp_path, {}, timeout_s=2.0) as (runtime, (plugin,)):
        runtime.run_pod_sandbox(pod())
        plugin.answers["CreateContainer"] = answer
        assert runtime.create_container("p1", container()).env == {}
        assert plugin.hung_up.wait(10)
