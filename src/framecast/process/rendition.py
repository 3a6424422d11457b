"""Smaller, coarser or labelled copies of a camera's pictures."""

from __future__ import annotations

from framecast.core.errors import Misuse
from framecast.core.packet import Packet
from framecast.core.rendition import Rendition
from framecast.process import jpeginfo
from framecast.process.errors import TooLarge, Undecodable
from framecast.process.ladder import Fitter, rungs
from framecast.process.outlines import draw_look
from framecast.process.overlay import draw_frame_id
from framecast.process.pixels import Decoder, Pixels, encode
from framecast.process.seen import Seen
from framecast.process.worker import Made
from framecast.wire.detections import Look

OVERLAYS = frozenset({"frame-id", "detections"})
DEFAULT_QUALITY = 80
_UNKNOWN_QUALITY = 80


class JpegRendition:
    """Makes the pictures of one rendition.

    The source's own bytes go through where nothing would change: not narrower than the source, no text, a quality not
    below the source's (encoding again never makes a picture better), small enough, and baseline.

    Args:
        rendition: What is wanted. Without a quality: 80 when the picture gets narrower, else that of the source.
        seen: What was seen lately, where that is to be drawn; pictures with nothing to draw pass as they are.

    Raises:
        Misuse: Another codec than mjpeg, or text that can't be drawn.
    """

    def __init__(self, rendition: Rendition, seen: Seen | None = None) -> None:
        if rendition.codec != "mjpeg":
            raise Misuse(f"codec {rendition.codec!r} can't be made here; mjpeg can")
        unknown = rendition.overlay - OVERLAYS
        if unknown:
            raise Misuse(f"overlay {', '.join(sorted(unknown))} can't be drawn; frame-id and detections can")
        if ("detections" in rendition.overlay) != (seen is not None):
            raise Misuse("what is seen is drawn where it is asked for, and known")
        self._rendition = rendition
        self._seen = seen
        self._decoder = Decoder()
        self._fitter: Fitter | None = None

    def make(self, packet: Packet) -> Made:
        """The picture of ``packet`` in this rendition; raises as `framecast.process.worker.Maker` says."""
        wanted = self._rendition
        info = jpeginfo.read(packet.payload)
        if info is None:
            raise Undecodable("no picture begins here")
        width = min(wanted.width_px or info.width_px, info.width_px)
        source_quality = info.quality or _UNKNOWN_QUALITY
        quality = wanted.quality or (DEFAULT_QUALITY if width < info.width_px else source_quality)
        look = None if self._seen is None else self._seen.at(packet)
        draws = "frame-id" in wanted.overlay or (look is not None and bool(look.things or look.state))
        as_it_is = info.baseline and width == info.width_px and quality >= source_quality and not draws
        if as_it_is and (not wanted.max_bytes or len(packet.payload) <= wanted.max_bytes):
            return Made(packet.payload, info.width_px, info.height_px, 0)
        if not wanted.max_bytes:
            pixels = self._drawn(self._decoder.decode(packet.payload, width), packet.frame_id, look)
            return Made(encode(pixels, quality), pixels.shape[1], pixels.shape[0], 1)
        return self._fit(packet, width, quality, look)

    def _fit(self, packet: Packet, width_px: int, quality: int, look: Look | None) -> Made:
        ladder = rungs(width_px, quality)
        if self._fitter is None or self._fitter.ladder != ladder:
            self._fitter = Fitter(self._rendition.max_bytes, ladder)
        fitter = self._fitter
        pixels: Pixels | None = None
        encodes = 0
        while not fitter.exhausted:
            rung = fitter.rung
            if pixels is None or pixels.shape[1] != rung.width_px:
                pixels = self._drawn(self._decoder.decode(packet.payload, rung.width_px), packet.frame_id, look)
            jpeg = encode(pixels, rung.quality)
            encodes += 1
            if fitter.fits(len(jpeg)):
                return Made(jpeg, pixels.shape[1], pixels.shape[0], encodes)
        fitter.restart()
        raise TooLarge(self._rendition.max_bytes, encodes)

    def _drawn(self, pixels: Pixels, frame_id: int, look: Look | None) -> Pixels:
        if look is not None:
            draw_look(pixels, look)
        if "frame-id" in self._rendition.overlay:
            draw_frame_id(pixels, frame_id)
        return pixels
