"""Threads that work beside the loop."""

from __future__ import annotations

import os
import sys
import threading

NICENESS = 5
"""By so much they are less urgent: a third of the loop's weight where both want a core. With much less, one that holds
the interpreter's lock would not get to run and give it up."""


def give_way() -> None:
    """Have this thread stand back from the loop where both want one core: what the loop passes on is late for all."""
    if sys.platform == "linux":  # where the number of a thread is as good as that of a process
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, min(os.getpriority(os.PRIO_PROCESS, thread) + NICENESS, 19))
