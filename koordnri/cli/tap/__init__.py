"""Second plugins that only look: what `koordnri log` and `koordnri differ` see of a live runtime.

Belongs here: a registration that answers everything empty, and what becomes of its events. Does not belong here: options and output.
"""
