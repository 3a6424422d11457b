"""The bench: this product beside the limit (a bare C relay) and beside its peers, in one run.

`python -m bench` runs every scenario, prints each measure of success with its ratio, and keeps the figures in
`bench/out/`; `python -m bench report` writes them into `docs/performance.md`, which also says how it is measured.
"""
