"""`python -m koordnri.cli`."""

from koordnri.cli import main

main()
