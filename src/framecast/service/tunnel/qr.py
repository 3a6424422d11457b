"""Addresses as QR codes, where there is what draws them (the extra `tunnel`, or `tls`)."""

from __future__ import annotations

import io

MARGIN = 4
"""Modules of white around the code, which scanners ask for."""


def svg(text: str) -> bytes:
    """The code as an SVG of its own, dark on white whatever is behind; empty without segno."""
    try:
        import segno
    except ModuleNotFoundError:
        return b""
    out = io.BytesIO()
    code = segno.make(text, error="m", micro=False)
    code.save(out, kind="svg", scale=1, border=MARGIN, dark="#000", light="#fff", omitsize=True, xmldecl=False)
    return out.getvalue()


def terminal(text: str) -> str:
    """The code as lines of half blocks; empty without segno."""
    try:
        import segno
    except ModuleNotFoundError:
        return ""
    out = io.StringIO()
    segno.make(text, error="l", micro=False).terminal(out, compact=True)
    return out.getvalue()
