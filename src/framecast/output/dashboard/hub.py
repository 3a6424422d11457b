"""One WebSocket for a whole dashboard: any set of cameras, newest first, as fast as the page acknowledges them.

Theory of operation. A `Channel` is one track as messages: the bytes of a message (camera number, frame id, capture
time, payload, and the WebSocket frame around them) are made once and written to every socket as they are. A
`Subscription` is one page's interest in one channel; it bounds what is on the way (see `subscription`). A `Page`
is the socket that a page's subscriptions share. The `Hub` knows all channels.
"""

from __future__ import annotations

from dataclasses import dataclass

from framecast.core.rendition import DETECTIONS, SOURCE, Rendition
from framecast.core.stream import Stream
from framecast.output.containers.fragments import FragmentHub
from framecast.output.dashboard.channel import Channel, Reader
from framecast.output.dashboard.codedsubscription import CODED_CREDIT, CodedSubscription
from framecast.output.dashboard.looks import LookReader, Looks
from framecast.output.dashboard.page import MOST_BUFFERED_BYTES, Page
from framecast.output.dashboard.soundsubscription import SoundSubscription
from framecast.output.dashboard.subscription import DEFAULT_CREDIT, MOST_CREDIT, Subscription
from framecast.output.looks import newest

__all__ = [
    "CODED_CREDIT",
    "DEFAULT_CREDIT",
    "MOST_BUFFERED_BYTES",
    "MOST_CREDIT",
    "Channel",
    "CodedSubscription",
    "Form",
    "Hub",
    "LookReader",
    "Page",
    "SoundSubscription",
    "Subscription",
]


@dataclass(frozen=True, slots=True)
class Form:
    """What a channel carries.

    Attributes:
        container: Empty for the packets of a track as they are, ``mp4`` for fragments, ``pcm`` for the camera's sound.
        rendition: Of which pictures.
        audio: Whether fragments hold sound, where there is some.
    """

    container: str = ""
    rendition: Rendition = SOURCE
    audio: bool = False


class Hub:
    """All channels of the server, so that a thousand pages share the bytes of each.

    Args:
        fragments: Where fragments come from.
    """

    def __init__(self, fragments: FragmentHub | None = None) -> None:
        self._fragments = fragments or FragmentHub()
        self._channels: dict[tuple[str, Form], Channel] = {}
        self._looks: dict[str, Looks] = {}

    def subscribe(self, stream: Stream, form: Form | Rendition, reader: Reader) -> None:
        """Begin sending.

        Raises:
            LimitReached: The camera has too many renditions already.
        """
        self.channel(stream, form).add(reader)

    def channel(self, stream: Stream, form: Form | Rendition) -> Channel:
        """The channel of this form, which ends when its last reader leaves.

        Raises:
            LimitReached: The camera has too many renditions already.
        """
        key = (stream.camera_id, Form(rendition=form) if isinstance(form, Rendition) else form)
        channel = self._channels.get(key)
        return self._open(stream, key) if channel is None else channel

    def look(self, stream: Stream, page: Page) -> LookReader:
        """Begin telling a page what is seen."""
        camera_id, track = stream.camera_id, stream.track(DETECTIONS)
        looks = self._looks.get(camera_id)
        if looks is None:

            def empty() -> None:
                if self._looks.get(camera_id) is made:
                    del self._looks[camera_id]

            made = Looks(camera_id, stream.number, track, empty)
            looks = self._looks[camera_id] = made
        return looks.add(page, newest(stream, track))

    def forget(self, camera_id: str) -> None:
        """A camera is gone: its channels take no new subscriptions."""
        self._looks.pop(camera_id, None)
        for key in [key for key in self._channels if key[0] == camera_id]:
            del self._channels[key]

    def _open(self, stream: Stream, key: tuple[str, Form]) -> Channel:
        def empty() -> None:
            # A camera that was removed and added again has another channel under this key.
            if self._channels.get(key) is channel:
                del self._channels[key]
            if channel.latency_ms in stream.latencies:
                stream.latencies.remove(channel.latency_ms)

        form = key[1]
        if form.container == "mp4":
            fragments = self._fragments.get(stream, form.rendition, audio=form.audio)
            channel = Channel(stream.number, fragments.track, empty, prelude=fragments, clock=stream.clock)
        else:
            track = stream.audio if form.container == "pcm" else stream.track(form.rendition)
            channel = Channel(stream.number, track, empty, clock=stream.clock)
        self._channels[key] = channel
        if form.container != "pcm":
            stream.latencies.append(channel.latency_ms)
        return channel
