"""The command line, ``framecast COMMAND``: a module here for each command, or for each that has some of its own.

Start-up time counts: what a command needs is imported when it runs.
"""

from framecast.cli.command import main

__all__ = ["main"]
