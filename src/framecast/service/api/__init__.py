"""The HTTP API, a module per subject; `table.py` lists every route."""
