"""What FFmpeg can't make anything of, or too much: sizes that are only claimed, sound of odd kinds, no decoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from framecast.core.errors import ProtocolError

av = pytest.importorskip("av")

from framecast.ingest.pyav import AvSource  # noqa: E402

from .rtsp_peer import RtspCamera, h264_media  # noqa: E402
from .test_pyav import FakeFeed, frames, number_of, pictures_of, video_file  # noqa: E402

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("unhurried")]

KIND, CHANNELS, RATE, ALIGN = (0, 2), (2, 2), (4, 4), (12, 2)
"""Where these stand in what an AVI file says of its sound, and in how many bytes (WAVEFORMATEX)."""


def heard_file(path: Path, claims: dict[tuple[int, int], int]) -> Path:
    """Ten pictures with PCM beside them, of which the file claims this."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=50)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=8_000)
        sound.layout = "mono"
        for number, pixels in enumerate(frames(10)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = number
            noise = av.AudioFrame.from_ndarray(np.ones((1, 160), np.int16), layout="mono")
            noise.sample_rate, noise.pts = 8_000, number * 160
            for packet in [*stream.encode(frame), *sound.encode(noise)]:
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    data = bytearray(path.read_bytes())
    at = data.index(b"strf", data.index(b"auds")) + 8
    for (offset, size), value in claims.items():
        data[at + offset : at + offset + size] = value.to_bytes(size, "little")
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("claims", "faults"),
    [
        ({KIND: 0x7777}, 0),
        ({RATE: 1}, 1),
        ({RATE: 2_000_000_000}, 1),
        ({CHANNELS: 64, ALIGN: 128}, 1),
    ],
    ids=["a kind nobody knows", "a sample a second", "two thousand million", "64 channels"],
)
async def test_sound_of_which_nothing_can_be_made_costs_no_picture(
    tmp_path: Path, claims: dict[tuple[int, int], int], faults: int
) -> None:
    feed = await pictures_of(AvSource(f"file:{heard_file(tmp_path / 'clip.avi', claims)}"), 15)
    assert [number_of(jpeg) for jpeg in feed.pictures[:15]] == [*range(10), *range(5)]
    assert not feed.sounds
    assert (feed.faults["corrupt_sound"] > 0) is bool(faults)
    assert not set(feed.faults) - {"corrupt_sound"}


async def test_pictures_for_which_there_is_no_decoder_are_said_to_be_so(tmp_path: Path) -> None:
    path = video_file(tmp_path / "clip.avi")
    path.write_bytes(path.read_bytes().replace(b"FMP4", b"XYZ9").replace(b"fmp4", b"xyz9"))
    with pytest.raises(ProtocolError, match="no decoder for"):
        await AvSource(f"file:{path}").run(FakeFeed())


@pytest.mark.parametrize(("name", "codec"), [("clip.mkv", "libx264"), ("clip.avi", "mpeg4")])
async def test_pictures_that_are_too_large_are_not_decoded(tmp_path: Path, name: str, codec: str) -> None:
    path = video_file(tmp_path / name, codec=codec)
    with pytest.raises(ProtocolError, match="160x120, which are too large"):
        await AvSource(f"file:{path}", max_pixels=15_000).run(FakeFeed())
    assert len((await pictures_of(AvSource(f"file:{path}", max_pixels=160 * 120), 2)).pictures) >= 2


async def test_nor_are_those_that_grow_midway() -> None:
    small, large = h264_media(frames(20), fps=40), h264_media(frames(5, 640, 480), fps=40)
    small.pictures = [*small.pictures, *large.pictures]
    async with RtspCamera(small) as camera:
        feed = FakeFeed()
        await AvSource(camera.url, max_pixels=160 * 120).run(feed)
    assert feed.pictures
    assert {simplejpeg.decode_jpeg_header(jpeg)[:2] for jpeg in feed.pictures} == {(120, 160)}
    assert feed.faults["corrupt_scan"] > 0


async def test_a_title_that_is_no_text_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "back door"
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for pixels in frames(5):
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    path.write_bytes(path.read_bytes().replace(b"back door", b"\xba\xf3\xc3\xc5 cam"))  # as GBK has it
    feed = await pictures_of(AvSource(f"file:{path}"), 5)
    assert [number_of(jpeg) for jpeg in feed.pictures[:5]] == [*range(5)]


async def test_bare_access_units_play_once_and_end(tmp_path: Path) -> None:
    path = video_file(tmp_path / "clip.h264", codec="libx264", options={"bf": "0", "tune": "zerolatency"})
    feed = FakeFeed()
    await AvSource(f"file:{path}").run(feed)
    assert [number_of(jpeg) for jpeg in feed.pictures] == [*range(5)]
