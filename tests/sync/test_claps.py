"""The measuring tool itself, against files that FFmpeg's libraries made with an offset that is known."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import simplejpeg

from framecast.mock.picture import Label, Synthetic
from framecast.mock.voice import Voice
from tests.support.claps import Witness, watch

FPS, SECONDS = 20, 5
X264 = {"preset": "ultrafast", "tune": "zerolatency", "g": str(FPS)}
FLASHES = [1.0, 2.0, 3.0, 4.0]


def film(path: Path, late_s: float, *, rate: int, channels: int, codec: str, form: str) -> None:
    """Flashes at whole seconds, clicks ``late_s`` after them."""
    pictures = Synthetic(320, 240, fps=FPS)
    sound = Voice(rate, channels).render(0, SECONDS * rate, [flash + late_s for flash in FLASHES])
    samples = np.frombuffer(sound, "<i2").reshape(1, -1)
    layout = "mono" if channels == 1 else "stereo"
    with av.open(str(path), "w", format=form) as container:
        video = container.add_stream("libx264", rate=FPS, options=X264)
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        audio = container.add_stream(codec, rate=rate, layout=layout)
        resampler = av.AudioResampler(audio.codec_context.format, layout, rate, frame_size=1_024)
        for number in range(FPS * SECONDS):
            pictures.advance()
            label = Label(number, number, flash=number / FPS in FLASHES)
            rgb = simplejpeg.decode_jpeg(pictures.draw(label))
            frame = av.VideoFrame.from_ndarray(rgb, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(frame))
        whole = av.AudioFrame.from_ndarray(samples, "s16", layout)
        whole.sample_rate, whole.pts, whole.time_base = rate, 0, Fraction(1, rate)
        for piece in (*resampler.resample(whole), *resampler.resample(None)):
            container.mux(audio.encode(piece))
        container.mux(audio.encode(None))
        container.mux(video.encode(None))


@pytest.mark.parametrize("late_s", [-0.12, 0.0, 0.075])
@pytest.mark.parametrize(
    ("rate", "channels", "codec", "form"),
    [
        (16_000, 1, "aac", "mp4"),
        (48_000, 2, "aac", "mpegts"),
        (48_000, 2, "libopus", "matroska"),
        (16_000, 2, "pcm_s16le", "matroska"),
    ],
)
def test_the_offset_is_found(tmp_path: Path, late_s: float, rate: int, channels: int, codec: str, form: str) -> None:
    path = tmp_path / f"film.{form}"
    film(path, late_s, rate=rate, channels=channels, codec=codec, form=form)
    witness = watch(str(path))
    assert witness.frame_ids == list(range(FPS * SECONDS))
    assert len(witness.flashes) == len(witness.clicks) == len(FLASHES)
    assert np.allclose(np.diff(witness.flashes), 1, atol=1e-3)
    assert witness.offsets() == pytest.approx([late_s] * len(FLASHES), abs=0.002)
    assert "4 claps" in witness.report()


def test_nothing_is_made_up() -> None:
    witness = Witness(flashes=[1.0, 2.0], clicks=[])
    assert witness.offsets() == []
    assert "no claps" in witness.report()
    witness = Witness(flashes=[1.0, 5.0], clicks=[1.02])
    assert witness.offsets() == pytest.approx([0.02])


def test_a_gap_in_the_sound_is_told() -> None:
    witness = Witness()
    for at_s in (0.0, 0.064, 0.128 + 0.064):
        witness.hear(at_s, np.zeros(1_024, "<i2"), 16_000)
    assert [round(size, 3) for _, size in witness.gaps] == [0.064]
