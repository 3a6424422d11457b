"""The command line: ``framecast demo | serve | mock-camera | doctor | cameras | token | config``.

Start-up time counts: what a command needs is imported when it runs.
"""

from framecast.cli.command import main

__all__ = ["main"]
