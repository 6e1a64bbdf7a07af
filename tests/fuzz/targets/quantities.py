"""Any text as a Kubernetes quantity: a number, or a ValueError that quotes no more than a line of it."""

from __future__ import annotations

from koordnri.model.quantity import parse_quantity, quantity_milli, quantity_value


def check(data: bytes) -> None:
    """As text, and as the number that the text may be."""
    text = data.decode(errors="surrogateescape")
    _same_everywhere(text)
    try:
        number = float(text)
    except ValueError:
        return
    _same_everywhere(number)


def _same_everywhere(value: str | float) -> None:
    try:
        exact = parse_quantity(value)
    except ValueError as error:
        assert len(str(error)) < 200
        for rounded in (quantity_value, quantity_milli):
            try:
                rounded(value)
            except ValueError:
                continue
            raise AssertionError(f"{rounded.__name__} accepts {value!r}") from None
        return
    assert 0 <= quantity_value(value) - exact < 1
    assert 0 <= quantity_milli(value) - exact * 1000 < 1
