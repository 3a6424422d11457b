"""The standard streams of a command, whatever they lead to: a pipe that closes, a full disk, a terminal that knows few
letters, or nowhere."""

from __future__ import annotations

import errno
import io
import os
import sys


def prepare() -> None:
    """Have all three, and write what their encoding lacks as ``\\xfc`` or ``\\u2026``."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by who called; what is opened next must not take its place
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - until the process ends
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def finish() -> bool:
    """Write what was printed and not yet written; False, and a word on it, where that can't be done.

    Nobody who reads no further, as ``head``, needs to be told.
    """
    try:
        sys.stdout.flush()
        return True
    except OSError as error:
        if error.errno != errno.EPIPE:
            print(f"framecast: the output can't be written: {error.strerror or error}", file=sys.stderr)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())  # else it is tried again when the process ends
    os.close(nowhere)
    return False
