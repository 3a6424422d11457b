"""ffmpeg, ffprobe, curl and Chromium's <audio> listening to one camera, at the same time."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.interop.test_players import Watching

WAV = "/api/v1/cameras/cam/audio.wav"
PCM = "/api/v1/cameras/cam/audio.pcm"
DOORBELL = "/api/v1/stream/audio"

PLAY = """
async (path) => {
  const audio = new Audio(path);
  await audio.play();
  while (audio.currentTime < 2) await new Promise((done) => setTimeout(done, 100));
  const {currentTime, error} = audio;
  audio.pause();
  audio.removeAttribute("src");
  audio.load();
  return {currentTime, error: error && error.message};
}
"""


def run(*command: str) -> subprocess.CompletedProcess[bytes]:
    """A program's output."""
    return subprocess.run(command, capture_output=True, timeout=60)


@pytest.mark.timeout(120)
def test_every_player_hears_the_samples(serve: Any, chromium: Browser) -> None:
    url = serve("--camera", "cam=mock:?fps=10&size=64x64&audio=1").url
    curl = subprocess.Popen(["curl", "-sN", url + PCM], stdout=subprocess.PIPE)
    assert curl.stdout is not None
    # Before ffmpeg is begun, so that what it hears is among this; and until it has heard it all.
    first = curl.stdout.read(1)
    raw = Watching(lambda: first + curl.communicate(timeout=100)[0])
    decode = ("ffmpeg", "-nostdin", "-loglevel", "error", "-i", url + WAV, "-t", "3", "-f", "s16le", "-")
    decoded = Watching(lambda: run(*decode))
    probed = Watching(lambda: run("ffprobe", "-v", "error", "-of", "json", "-show_streams", url + WAV))
    page = chromium.new_page()
    page.goto(url)
    for path in (WAV, DOORBELL):
        # Chromium wants a quarter of a megabyte before it begins.
        played = page.evaluate(PLAY, path)
        assert played["error"] is None
        assert played["currentTime"] >= 2
    (stream,) = json.loads(probed.finish(60).stdout)["streams"]
    assert (stream["codec_name"], stream["sample_rate"], stream["channels"]) == ("pcm_s16le", "16000", 1)
    samples = decoded.finish(60)
    curl.terminate()
    assert samples.stderr == b""
    assert len(samples.stdout) == 3 * 32_000
    assert samples.stdout in raw.finish(60), "the WAV's samples are the raw ones"
