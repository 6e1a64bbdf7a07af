"""The command `koordnri demo`: what settings are worth, live in a terminal."""
