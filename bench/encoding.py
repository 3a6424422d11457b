"""The product's H.264 worker, by itself: `python -m bench.encoding FRAMES [COUNT]`.

Reads JPEGs that follow each other in FRAMES, puts COUNT of them through `framecast.process.factories.make_worker` at
its own pace, and prints one line of JSON: frames, and CPU seconds from the first to the last.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import uvloop

from framecast.core.mailbox import Mailbox
from framecast.core.packet import Format, Packet
from framecast.core.rendition import H264
from framecast.core.track import Track
from framecast.process.factories import make_worker
from framecast.process.worker import codec_executor

FPS = 30
WARM_UP = 60
"""Frames before the clock starts: the rate is known by then, and the encoder told."""


class _Feeder:
    """Gives the worker one picture after another, each when the one before is done: none is skipped."""

    bulk = False

    def __init__(self, jpegs: list[bytes], count: int) -> None:
        self.mailbox = Mailbox()
        self.made = 0
        self.cpu_s = 0.0
        self._jpegs = jpegs
        self._count = count
        self._began_s = 0.0

    def feed(self) -> None:
        """The next picture."""
        number = self.made
        pts_ns = 1_700_000_000_000_000_000 + number * 1_000_000_000 // FPS
        jpeg = self._jpegs[number % len(self._jpegs)]
        self.mailbox.push(Packet(jpeg, Format("mjpeg"), number, number, 1, pts_ns, pts_ns))

    def push(self, _: Packet) -> None:
        """One came out."""
        self.made += 1
        if self.made == WARM_UP:
            self._began_s = time.process_time()
        if self.made == WARM_UP + self._count:
            self.cpu_s = time.process_time() - self._began_s
            self.mailbox.close()
        else:
            self.feed()

    def clear(self) -> None:
        """Nothing is kept."""


async def main(data: bytes, count: int) -> None:
    """See the module."""
    jpegs = [b"\xff\xd8\xff" + each for each in data.split(b"\xff\xd8\xff")[1:]]
    feeder = _Feeder(jpegs, count)
    out = Track("h264", since_key=True)
    out.attach(feeder)
    feeder.feed()
    with codec_executor() as executor:
        await make_worker(H264, executor, lambda: None).run(feeder.mailbox, out)
    print(json.dumps({"frames": count, "cpu_s": feeder.cpu_s}))


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]).read_bytes(), int(sys.argv[2]) if len(sys.argv) > 2 else 600))
