"""Checks, one file per noun. A check is a pure function from the facts to findings; where a fact is not known, it finds nothing."""
