"""The link by which the first owner's account is made, once, by whoever sees this server start."""

from __future__ import annotations

import hmac

from framecast.service.access.tokens import digest
from framecast.service.accounts.people import SETUP_PATH, new_code


class OwnerLink:
    """A code in memory: it is good until it was used, or the server stops."""

    def __init__(self) -> None:
        self._digest: bytes | None = None
        self._used = False

    @property
    def waiting(self) -> bool:
        """Whether there is one that was not used."""
        return self._digest is not None and not self._used

    def make(self) -> str:
        """A new one, in place of an earlier one: where its page is, code and all."""
        code = new_code()
        self._digest, self._used = digest(code), False
        return SETUP_PATH + code

    def is_for(self, code: str) -> bool:
        """Whether this is its code, used or not."""
        return self._digest is not None and hmac.compare_digest(self._digest, digest(code))

    def use(self) -> None:
        """It was used."""
        self._used = True
