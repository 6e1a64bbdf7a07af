"""Keys of a real terminal device."""

import os
import pty
import termios
from collections.abc import Iterator

import pytest

from koordnri.cli.demo.keys import Keys, listening
from koordnri.cli.demo.switches import QUIT


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """(the user's end, the program's end)"""
    user, program = pty.openpty()
    try:
        yield user, program
    finally:
        os.close(program)
        os.close(user)


def test_a_key_counts_without_enter_and_in_either_case(terminal: tuple[int, int]) -> None:
    user, program = terminal
    with listening(program) as keys:
        assert keys.pressed(0) == ""
        os.write(user, b"Ix")
        assert [keys.pressed(5), keys.pressed(5), keys.pressed(0)] == ["i", "x", ""]


def test_afterwards_the_terminal_is_as_before(terminal: tuple[int, int]) -> None:
    _, program = terminal
    before = termios.tcgetattr(program)
    with listening(program):
        assert not termios.tcgetattr(program)[3] & termios.ICANON
    assert termios.tcgetattr(program) == before


def test_input_that_has_ended_quits() -> None:
    read, write = os.pipe()
    os.close(write)
    try:
        assert Keys(read).pressed(5) == QUIT
    finally:
        os.close(read)
