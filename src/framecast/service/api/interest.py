"""One page's interest in one camera: what it wished for, what it gets."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from framecast.core.adapt import CODED_SPARE, SPARE, Controller
from framecast.core.errors import LimitReached
from framecast.core.ladder import LADDER
from framecast.output.dashboard.hub import (
    CODED_CREDIT,
    DEFAULT_CREDIT,
    MOST_CREDIT,
    CodedSubscription,
    Form,
    LookReader,
    Page,
    SoundSubscription,
    Subscription,
)
from framecast.service.api import query
from framecast.service.api.coded import can_encode
from framecast.service.cameras import views
from framecast.service.cameras.cameras import Camera
from framecast.service.errors import ApiError, bad_request
from framecast.service.service import Service

FORMS = ("jpeg", "h264", "mp4")
PCM = Form("pcm")
REVIEW_S = 0.1
"""How often, at most, a page's level is looked at."""
LONGEST_MOVE_S = 2.0
"""A rendition that has not brought a picture after so long keeps nobody from choosing another one."""
LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class PageWish:
    """What a page asks for of one camera."""

    form: str
    asked: query.Wish
    audio: bool
    detections: bool
    credit: int

    def carried(self, asked: query.Wish) -> Form:
        """What the channel has to carry for this wish at some level."""
        if self.form == "jpeg":
            return Form(rendition=asked.rendition)
        return Form("mp4" if self.form == "mp4" else "", asked.coded("h264"), self.form == "mp4" and self.audio)


def check_wish(wish: Mapping[str, Any], camera: Camera) -> PageWish:
    """What ``wish`` asks for.

    Raises:
        ApiError: It makes no sense.
    """
    form = wish.get("form", "jpeg")
    if not isinstance(form, str) or form not in FORMS:
        raise bad_request(f"form is one of {', '.join(FORMS)}", "bad_value")
    if form != "jpeg" and not can_encode():
        raise ApiError(501, "media_missing", "H.264 needs further packages here: pip install 'framecast[media]'")
    audio = wish.get("audio", False)
    if type(audio) is not bool:
        raise bad_request("audio is true or false", "bad_value")
    detections = wish.get("detections", False)
    if type(detections) is not bool:
        raise bad_request("detections is true or false", "bad_value")
    credit = wish.get("credit", DEFAULT_CREDIT if form == "jpeg" else CODED_CREDIT)
    if type(credit) is not int or not 1 <= credit <= MOST_CREDIT:
        raise bad_request(f"credit is a whole number from 1 to {MOST_CREDIT}", "bad_value")
    texts = {
        key: str(value)
        for key, value in wish.items()
        if key in query.WATCH and value not in (None, 0) and isinstance(value, (int, float, str))
    }
    asked = query.wish(texts, camera.options)
    if form != "jpeg" and (asked.rendition.overlay or asked.rendition.max_bytes):
        raise bad_request("overlay and max_bytes are for form jpeg", "not_available")
    return PageWish(form, asked, audio, detections, credit)


class Interest:
    """One page's interest in one camera.

    With ``quality=auto`` it is the gauge of its subscription, too: what is acknowledged goes to a `Controller`, whose
    choice moves the subscription from one channel to another.

    Args:
        service: Where cameras and channels are.
        camera: The camera.
        page: The socket.
        wish: What is asked for.
        peer: The page's address.
        tell: Says something to the page at once, before what is written next.
        holder: Whose credential lets it watch.

    Attributes:
        wish: What is asked for.
    """

    def __init__(
        self,
        service: Service,
        camera: Camera,
        page: Page,
        wish: PageWish,
        peer: str,
        tell: Callable[[dict[str, Any]], None],
        holder: str = "",
    ) -> None:
        self.camera = camera
        self._service = service
        self._page = page
        self.wish = wish
        self._peer = peer
        self._tell = tell
        self._holder = holder
        self._subscription: Subscription | None = None
        self._sound: SoundSubscription | None = None
        self._looks: LookReader | None = None
        self._controller: Controller | None = None
        self._reviewed_s = self._looked_s = self._decided_s = 0.0

    def begin(self) -> None:
        """Subscribe.

        Raises:
            LimitReached: The camera has as many viewers, or renditions, as it may.
            ApiError: The form can't be had here.
        """
        wish, stream = self.wish, self.camera.stream
        asked = wish.asked
        carried = wish.carried(asked)
        viewer = self._service.cameras.admit(
            self.camera,
            "websocket",
            self._peer,
            fps_limit=asked.fps,
            rendition=carried.rendition.name,
            holder=self._holder,
        )
        viewer.choice = asked.choice
        if wish.form == "jpeg":
            subscription = Subscription(self._page, viewer, credit=wish.credit, fps=asked.fps)
        else:
            subscription = CodedSubscription(self._page, viewer, credit=wish.credit)
        self._subscription = subscription
        subscription.on_form = self._tell_form
        if asked.auto:
            self._controller = Controller(time.monotonic(), spare=SPARE if wish.form == "jpeg" else CODED_SPARE)
            subscription.gauge = self
            viewer.choice.reason = _sentence(self._controller.reason)
        try:
            channel = self._service.hub.channel(stream, carried)
            if wish.form == "jpeg":
                self._tell_form()
            channel.add(subscription)
        except (LimitReached, ApiError):
            self.end()
            raise
        if wish.audio and wish.form != "mp4":
            self._sound = SoundSubscription(self._page, subscription)
            self._service.hub.channel(stream, PCM).add(self._sound)
        if wish.detections:
            self._looks = self._service.hub.look(stream, self._page)

    def end(self) -> None:
        """Give everything up. Safe to call twice."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            subscription.leave()
            self._service.cameras.dismiss(self.camera, subscription.viewer)
        if self._sound is not None:
            self._sound.leave()
            self._sound = None
        if self._looks is not None:
            self._looks.leave()
            self._looks = None

    def ack(self, frame_id: int) -> None:
        """The page has shown this frame and all before it."""
        if self._subscription is not None:
            self._subscription.ack(frame_id)
        if self._sound is not None:
            self._sound.pump()

    # As the gauge of its subscription.

    def acked(self, now_s: float, sent_at_s: float, size_bytes: int) -> None:
        """See `output.dashboard.subscription.Gauge`."""
        if self._controller is not None:
            self._controller.acked(now_s, sent_at_s, size_bytes)

    def dropped(self, now_s: float) -> None:
        """See `output.dashboard.subscription.Gauge`."""
        if self._controller is not None:
            self._controller.dropped(now_s)

    def padding(self, now_s: float) -> int:
        """See `output.dashboard.subscription.Gauge`."""
        subscription = self._subscription
        if self._controller is None or subscription is None or subscription.moving:
            return 0
        return self._controller.padding(now_s)

    def review(self, now_s: float) -> None:
        """See `output.dashboard.subscription.Gauge`."""
        controller, subscription = self._controller, self._subscription
        if controller is None or subscription is None or now_s - self._reviewed_s < REVIEW_S:
            return
        self._reviewed_s = now_s
        if subscription.moving and now_s - self._decided_s < LONGEST_MOVE_S:
            return
        self._look(controller, subscription, now_s)
        before = controller.level
        if controller.review(now_s, subscription.oldest):
            self._decided_s = now_s
            self._go_to_level(controller, subscription, before)

    def _look(self, controller: Controller, subscription: Subscription, now_s: float) -> None:
        """Tell the controller what the camera sends, and what the level it is on takes."""
        channel = subscription.channel
        if channel is not None and not subscription.moving:
            fps = self.wish.asked.at(LADDER[controller.level]).fps
            thinned = self.wish.form == "jpeg" and 0 < fps < channel.packets_per_s
            controller.takes(controller.level, channel.packet_bytes * fps if thinned else channel.bytes_per_s)
        if now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        stream = self.camera.stream
        latest = views.newest(stream)
        fps, _ = stream.meter.rates(stream.clock.now_ns())
        controller.source(0 if latest is None else latest.format.width_px, fps)

    def _go_to_level(self, controller: Controller, subscription: Subscription, before: int) -> None:
        """Move to the level that was chosen, or the next below it that can be had."""
        for level in range(controller.level, len(LADDER)):
            if level == before:
                continue
            asked = self.wish.asked.at(LADDER[level])
            carried = self.wish.carried(asked)
            try:
                channel = self._service.hub.channel(self.camera.stream, carried)
            except LimitReached:
                continue
            if level != controller.level:
                controller.forgo(level, f"{controller.reason}; {LADDER[controller.level].name} can't be made now")
            subscription.move(channel, asked.fps, partial(self._moved, controller, level, asked, carried))
            return
        controller.forgo(before, "other sizes can't be made now: too many are being watched")

    def _moved(self, controller: Controller, level: int, asked: query.Wish, carried: Form) -> None:
        subscription = self._subscription
        if subscription is None:
            return
        controller.moved(time.monotonic())
        viewer = subscription.viewer
        viewer.rendition = carried.rendition.name
        viewer.fps_limit = asked.fps
        viewer.choice = replace(asked.choice, level=LADDER[level].name, reason=_sentence(controller.reason))
        if self.wish.form == "jpeg":
            self._tell_form()

    # What it tells.

    def restart(self) -> None:
        """The page can't go on without a key picture."""
        if isinstance(self._subscription, CodedSubscription):
            self._subscription.restart()

    def numbers(self) -> dict[str, Any]:
        """This page as a reader of the camera."""
        subscription, sound = self._subscription, self._sound
        if subscription is None:
            return {}
        heard = {} if sound is None else {"sound": {"sent": sound.sent, "drops": sound.drops}}
        looks = self._looks
        seen = {} if looks is None else {"detections": {"sent": looks.sent, "drops": looks.drops}}
        return {**views.reader(subscription.viewer), **heard, **seen}

    def _tell_form(self) -> None:
        subscription = self._subscription
        if subscription is None:
            return
        channel, choice = subscription.channel, subscription.viewer.choice
        assert choice is not None
        codec = "" if channel is None else channel.codec
        mime = {"jpeg": "image/jpeg", "h264": "video/h264"}.get(self.wish.form)
        self._tell(
            {
                "type": "form",
                "id": self.camera.camera_id,
                "camera": self.camera.stream.number,
                "form": self.wish.form,
                "mime": mime or ("" if channel is None else channel.mime),
                "codec": codec,
                "quality": views.quality(choice),
            }
        )


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]
