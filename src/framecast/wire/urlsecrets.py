"""Which fields of a URL are secrets: those whose names say so. Many cameras take their password in the query."""

from __future__ import annotations

import re

_NAMED_SO = r"[\w-]*(?:pass(?:word|wd)?|pas|pwd|token|key|secret|auth)="
_QUERY = re.compile(rf"(?i)((?:^|[?&]){_NAMED_SO})[^&]*")
_PATH = re.compile(rf"(?i)([/&;]{_NAMED_SO}|_pass(?:word|wd)?=)[^/&;]*")
"""Some cameras take the query's fields for a path, between ``&`` or ``_``."""


def masked_query(query: str) -> str:
    """A query, or one field of it, with ``***`` in place of its secrets."""
    return _QUERY.sub(r"\1***", query)


def masked_path(path: str) -> str:
    """A path with ``***`` in place of its secrets."""
    return _PATH.sub(r"\1***", path)


def masked_location(text: str) -> str:
    """What somebody gives for an address, be it one or not, with ``***`` in place of its secrets."""
    login, at, place = text.rpartition("@")
    scheme = "".join(login.partition("//")[:2]) if "//" in login else ""
    path, *fields = re.split("([?#])", place)
    shown = masked_path(path) + "".join(masked_query(each) for each in fields)
    return f"{scheme}***@{shown}" if at else shown


def is_secret(field: str) -> bool:
    """Whether a field of a query, ``name=value``, is a secret."""
    return _QUERY.match(field) is not None
