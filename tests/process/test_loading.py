from __future__ import annotations

import subprocess
import sys

BOTH = """
import threading
import numpy
from framecast.core.rendition import H264
from framecast.process import factories
from framecast.process.options import H264Options

start = threading.Barrier(2)

def load(make, *arguments):
    start.wait()
    make(*arguments)

for arguments in ((factories._picture_coder, H264, H264Options(encoder="software")), (factories._sound_coder, "aac")):
    threading.Thread(target=load, args=arguments).start()
"""


def test_coders_of_pictures_and_sound_may_load_at_the_same_time() -> None:
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", BOTH], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
