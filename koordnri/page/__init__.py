"""The page of the node for a browser: its files, and the port that serves them with the questions of the control socket, read-only.

Everything that a page shows comes from `GET /v1/NAME`; no value is computed here or in the browser.
"""
