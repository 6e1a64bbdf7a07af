"""Programs for NRI v0.1, of before 2022: one process per call, JSON on stdin and stdout. Today's runtimes start none for containers."""
