"""Fuzzing: what comes from outside, as any bytes. One target per kind of input, in `targets`; the first line of each says what must hold.

`make fuzz` searches with coverage (tools/fuzz.py, atheris). `test_targets.py` replays the corpus and some inputs made of it.
"""
