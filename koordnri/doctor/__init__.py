"""`koordnri doctor`: what on this node keeps koordnri from working, with or without a running daemon.

Belongs here: one file that reads facts (`reading`, and the runtime's configuration in `runtime_config`), the facts as plain values
(`facts`), and checks by noun: pure functions from facts to findings. `codes` lists every code; docs/use/doctor.md explains each. Does not
belong here: talking to the daemon (koordnri.cli.control does that) and changing anything on the node.
"""
