"""One WebRTC viewer, from its offer to its end."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from framecast.core.errors import LimitReached
from framecast.core.ladder import AUTO, LADDER, Choice
from framecast.core.rendition import OPUS, Rendition
from framecast.core.viewer import Viewer
from framecast.output.farewell import see_through
from framecast.output.webrtc.fanouts import Fanouts, Scout
from framecast.output.webrtc.plan import Plan
from framecast.output.webrtc.quality import Controller
from framecast.output.webrtc.rtpseat import RtpSeat
from framecast.wire import rtp, sdp, sdpanswer

if TYPE_CHECKING:
    from framecast.output.webrtc.icedtls import Link

log = logging.getLogger("framecast.output.webrtc")

CONNECT_TIMEOUT_S = 20.0
REPORT_INTERVAL_S = 1.0
LOST_PER_S = 2000
"""Lost packets that a peer may name; one that loses a tenth of 10 Mbit/s and asks ten times for each stays below."""
FEEDBACK = ("nack", "nack pli", "ccm fir", "goog-remb")


def lesser(one: int, other: int) -> int:
    """The smaller one, 0 standing for no limit."""
    return min(one, other) if one and other else one or other


class Allowance:
    """How many lost packets a peer may name: as many as are kept at once, and `LOST_PER_S` in the long run.

    Each costs everybody time, whether it is sent again or not.
    """

    def __init__(self) -> None:
        self._left: float = rtp.MOST_LOST
        self._at = 0.0

    def left(self, now_s: float) -> int:
        """How many now."""
        self._left = min(rtp.MOST_LOST, self._left + max(0.0, now_s - self._at) * LOST_PER_S)
        self._at = now_s
        return int(self._left)

    def take(self, count: int) -> None:
        """So many were named."""
        self._left -= count


class Peer:
    """One viewer over WebRTC.

    Args:
        fanouts: The camera's.
        viewer: As which it is counted.
        link: Its transport, sockets open.
        plan: What it gets.
        rendition: Which pictures it gets, at most.
        adapts: Whether it gets less while its path carries no more.

    Attributes:
        token: The unguessable end of its resource's path.
        state: ``connecting``, ``connected``, ``gone``.
        lost: Share of packets lost lately, as it reports.
        rtt_s: Time there and back, None before the first report.
        bitrate_bps: What it thinks its path can carry, None when it does not say.
    """

    def __init__(
        self, fanouts: Fanouts, viewer: Viewer, link: Link, plan: Plan, rendition: Rendition, *, adapts: bool = False
    ) -> None:
        self.fanouts = fanouts
        self.viewer = viewer
        self.link = link
        self.rendition = rendition
        self._best = rendition
        self._adapts = adapts
        self._controller: Controller | None = None
        self._scout: Scout | None = None
        self._sent = deque([(0.0, 0)], maxlen=3)
        self._settled_octets = 0
        self.token = secrets.token_urlsafe(24)
        self.cname = secrets.token_hex(8)
        self.ufrag = plan.transport.ufrag
        self.state = "connecting"
        self.lost = 0.0
        self.rtt_s: float | None = None
        self.bitrate_bps: int | None = None
        self._allowance = Allowance()
        self._plan = plan
        self._ended = asyncio.Event()
        self._reported = False
        self._level = LADDER[0].name
        dtls, ice = link.dtls, link.ice
        rtx = sdpanswer.choose_rtx(plan.video, plan.video_codec)
        self._video = RtpSeat(
            plan.video_codec.payload_type,
            rtp.VIDEO_HZ,
            dtls.write_rtp,
            lambda: ice.full,
            viewer,
            rtx=rtx.payload_type if rtx else None,
        )
        self.seats = [self._video]
        self._sendings = [
            sdpanswer.Sending(
                plan.video,
                plan.video_codec,
                self._video.ssrc,
                rtx,
                self._video.rtx_ssrc,
                FEEDBACK,
                self._video.offset,
            )
        ]
        self._sound: RtpSeat | None = None
        if plan.sound is not None and plan.sound_codec is not None:
            self._sound = RtpSeat(plan.sound_codec.payload_type, rtp.SOUND_HZ, dtls.write_rtp, lambda: ice.full)
            self.seats.append(self._sound)
            self._sendings.append(
                sdpanswer.Sending(plan.sound, plan.sound_codec, self._sound.ssrc, feedback=FEEDBACK[:1])
            )

    def answer(self, candidates: tuple[sdp.Candidate, ...]) -> str:
        """The SDP answer."""
        ice = self.link.ice
        transport = sdpanswer.Transport(
            ice.local_username, ice.local_password, self.link.fingerprint, self.link.setup, candidates
        )
        return sdpanswer.answer(
            self._plan.offer, self._sendings, transport, session_id=secrets.randbits(62), cname=self.cname
        )

    def end(self) -> None:
        """Let it go, soon. Safe to call twice."""
        self._ended.set()

    async def run(self, on_gone: Callable[[], None], *, connect_timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        """Connect, send until the peer goes or is let go, and tidy up; ``on_gone`` is called first of that."""
        self.viewer.settle = self._settle
        try:
            await self._connect(connect_timeout_s)
            if self.state == "connected":
                await self._serve()
        finally:
            self.state = "gone"
            if self._scout is not None:
                self._scout.cancel()
            self.fanouts.leave(self.rendition, self._video, with_sound=self._sound is not None)
            if self._sound is not None:
                self.fanouts.leave(OPUS, self._sound, with_sound=True)
            self._settle()
            self.viewer.settle = None
            on_gone()
            self.link.dtls.write_rtcp(
                self._video.report(self._now_ns(), self.cname) + rtp.bye(*(seat.ssrc for seat in self.seats))
            )
            await see_through(self.link.close())

    async def _connect(self, timeout_s: float) -> None:
        connecting = asyncio.ensure_future(self.link.connect())
        ended = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait((connecting, ended), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if (
                connecting.done()
                and not connecting.cancelled()
                and connecting.exception() is None
                and connecting.result()
            ):
                self.state = "connected"
                self.fanouts.connects += 1
                return
            self.fanouts.failures += 1
            log.info("%s: client %d did not connect over WebRTC", self.fanouts.stream.camera_id, self.viewer.number)
        finally:
            for task in (connecting, ended):
                task.cancel()
            await asyncio.gather(connecting, ended, return_exceptions=True)

    async def _serve(self) -> None:
        dtls = self.link.dtls
        dtls.on_end = self.end
        dtls.on_rtcp = self._hear
        if dtls.state != "connected":
            return
        try:
            self.fanouts.join(self.rendition, self._video, with_sound=self._sound is not None)
        except LimitReached as error:
            log.info("%s: client %d gets nothing: %s", self.fanouts.stream.camera_id, self.viewer.number, error)
            return
        if self._sound is not None:
            self.fanouts.join(OPUS, self._sound, with_sound=True)
        log.info(
            "%s: client %d connected over WebRTC from %s",
            self.fanouts.stream.camera_id,
            self.viewer.number,
            self.link.ice.peer,
        )
        if self._adapts:
            self._controller = self._begin_adapting()
        while not self._ended.is_set():
            now_ns = self._now_ns()
            self._sent.append((time.monotonic(), sum(seat.octets for seat in self.seats)))
            for seat in self.seats:
                dtls.write_rtcp(seat.report(now_ns, self.cname))
            try:
                async with asyncio.timeout(REPORT_INTERVAL_S):
                    await self._ended.wait()
            except TimeoutError:
                pass

    def _settle(self) -> None:
        """Bring the viewer's bytes up to date: payloads of pictures and sound, each counted once."""
        octets = sum(seat.octets for seat in self.seats)
        self.viewer.count(size_bytes=octets - self._settled_octets)
        self._settled_octets = octets

    def _hear(self, data: bytes) -> None:
        now = time.monotonic()
        said = rtp.parse_feedback(data, self._allowance.left(now))
        self._allowance.take(len(said.lost))
        for ssrc, sequence in said.lost:
            for seat in self.seats:
                if ssrc == seat.ssrc:
                    seat.resend(sequence)
        if self._video.ssrc in said.key_wanted:
            self.fanouts.want_key(self.rendition, with_sound=self._sound is not None)
        for report in said.reports:
            if report.ssrc == self._video.ssrc:
                self.lost = report.lost
                self._reported = True
                if report.last_report:
                    middle = rtp.ntp_of(self._now_ns()) >> 16 & 0xFFFFFFFF
                    round_trip = (middle - report.last_report - report.delay) & 0xFFFFFFFF
                    if round_trip < 0x80000000:
                        self.rtt_s = round_trip / 65_536
        if self._reported and self._controller is not None:
            self._reported = False
            if self._controller.report(now, lost=self.lost, rtt_s=self.rtt_s, sent_bps=self._sent_bps(now)):
                self._move()
        if said.bitrate_bps is not None:
            self.bitrate_bps = said.bitrate_bps

    def _begin_adapting(self) -> Controller:
        stream = self.fanouts.stream
        newest = stream.video.latest or stream.inlet.latest
        fps, _ = stream.meter.rates(self._now_ns())
        width_px = newest.format.width_px if newest is not None else 0
        controller = Controller(time.monotonic(), width_px=lesser(width_px, self._best.width_px), fps=fps)
        self._say(controller)
        return controller

    def _sent_bps(self, now: float) -> float:
        """What was sent lately, bit/s."""
        at, octets = self._sent[0]
        return (sum(seat.octets for seat in self.seats) - octets) * 8 / max(now - at, 0.5)

    def _move(self) -> None:
        """Go to the level that was chosen; where that can't be had, stay."""
        controller = self._controller
        assert controller is not None
        level = LADDER[controller.level]
        target = replace(
            self._best,
            width_px=lesser(self._best.width_px, level.width_px),
            quality=lesser(self._best.quality, level.quality),
            fps=lesser(self._best.fps, level.fps),
        )
        if self._scout is not None:
            self._scout.cancel()
            self._scout = None
        if target != self.rendition:
            try:
                self._scout = self.fanouts.move(
                    self._video,
                    self.rendition,
                    target,
                    with_sound=self._sound is not None,
                    on_moved=lambda: self._moved(target),
                )
            except LimitReached:
                level_now = next((i for i, each in enumerate(LADDER) if each.name == self._level), 0)
                controller.forgo(level_now, f"{controller.reason}; {level.name} can't be made now")
        self._say(controller)

    def _moved(self, rendition: Rendition) -> None:
        self._scout = None
        self.rendition = rendition
        self.viewer.rendition = rendition.name

    def _say(self, controller: Controller) -> None:
        """Let it be seen which level it is on, and why."""
        level = LADDER[controller.level]
        self._level = level.name
        width_px, fps = lesser(self._best.width_px, level.width_px), lesser(self._best.fps, level.fps)
        self.viewer.choice = Choice(AUTO, level.name, width_px, fps, controller.reason)

    def _now_ns(self) -> int:
        return self.fanouts.stream.clock.now_ns()
