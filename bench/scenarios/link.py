"""A viewer behind a real link of a quarter of the stream's rate, where the kernel can shape one.

The comparison runs in a network namespace of its own (`python -m bench.scenarios.link`, started by `measure`): its
loopback carries packets of 1,500 bytes, and what goes to 127.0.0.2 passes a token bucket and a short queue, as at a
Wi-Fi access point. Everybody else is on the same loopback unshaped.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.parts import BUILD, LOGS, PICTURES, Camera, Product, Relay, Server
from bench.pictures import STAMP_BYTES, pictures
from bench.processes import Child, cores

FRAME_BYTES = 25_000
FPS = 30
ADDRESS = "127.0.0.2"
QUEUE_PACKETS = 20
FILL_S = 4.0

_SHAPE = f"""
ip link set dev lo up mtu 1500 gso_max_size 1500 gso_max_segs 1
tc qdisc add dev lo root handle 1: htb default 10
tc class add dev lo parent 1: classid 1:10 htb rate 40gbit burst 10m cburst 10m quantum 200000
tc class add dev lo parent 1: classid 1:20 htb rate {FRAME_BYTES * FPS // 4 * 8}bit burst 3k cburst 3k quantum 1514
tc qdisc add dev lo parent 1:20 handle 20: pfifo limit {QUEUE_PACKETS}
tc filter add dev lo parent 1: protocol ip prio 1 u32 match ip dst {ADDRESS}/32 classid 1:20
"""


def measure(window_s: float) -> dict[str, dict[str, float]] | None:
    """Ages in ms (`p50`, …) by server; None where no link can be shaped here."""
    if not all(map(shutil.which, ("unshare", "ip", "tc"))):
        return None
    inside = [sys.executable, "-m", "bench.scenarios.link", str(window_s)]
    script = f'set -e\n{_SHAPE}\nexec "$@"'
    done = subprocess.run(
        ["unshare", "--map-root-user", "--net", "sh", "-c", script, "sh", *inside],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent.parent,
    )
    if done.returncode:
        return None
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _age(server: Server, window_s: float) -> Any:
    command: list[object] = [BUILD / "load", "--url", server.viewer_url(), "--viewers", 6, "--exact", 5]
    command += ["--slow", 1, "--slow-from", ADDRESS]
    with Child(command, core=cores()[0], log=LOGS / "load.log") as load:
        load.line_with('"joined"', 20)
        time.sleep(FILL_S)
        load.say("begin")
        time.sleep(window_s)
        load.say("end")
        return json.loads(load.line_with('"window"', 10))["age_ms"]


def main() -> int:
    """Prints the ages as JSON."""
    files = pictures(PICTURES, FRAME_BYTES - STAMP_BYTES, 4)
    with Camera(files, fps=FPS) as camera, Product({"cam": camera.url()}) as product, Relay([camera.url()]) as relay:
        ages = {server.name: _age(server, float(sys.argv[1])) for server in (product, relay)}
    print(json.dumps(ages))
    return 0


if __name__ == "__main__":
    sys.exit(main())
