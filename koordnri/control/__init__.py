"""Feedback controllers: signals in, node state out. Hooks read the node state, and the reconciler writes what they decide.

A controller never touches a container, a file or the API server. Time comes with the signals.
"""
