"""Sound over HTTP: raw PCM, or a WAV that does not end; the samples are those the device sent.

Theory of operation. The last second of a track is kept once for all. Each listener knows which chunk is its next one.
A chunk that comes is written to everybody who holds nothing back; a listener that is behind gets the chunks it is owed
when its transport has drained, and loses those that are older than a second: it goes on at a chunk's beginning, so at a
sample's. What is written is a whole chunk always, its bytes are shared, and nobody waits for anybody. Pauses are not
filled: what has no samples has no bytes.

A WAV has one sample rate, and so has an answer whose headers name it: when the device sends another form, it ends.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from time import perf_counter

from framecast.core.fanout import SLICE_S, WRITES_PER_CLOCK_READ
from framecast.core.packet import Format, Packet
from framecast.core.seat import Seat
from framecast.core.stream import Stream
from framecast.core.track import Track
from framecast.core.viewer import Viewer
from framecast.output.mjpeg import LAST_CHUNK, chunk
from framecast.output.transport import FAREWELL_S, Takeover
from framecast.wire import wav

KEPT_S = 1.0
"""What a listener that is behind may still get; older chunks are lost to it."""


class Listener(Seat):
    """One listener's place.

    Args:
        output: Where it listens.
        transport: Its connection.
        viewer: Its counters.
        is_wav: It gets a WAV header first.
        chunked: Its answer comes in HTTP chunks.
        form: What it was promised, None where the WAV's header will say it.
    """

    __slots__ = ("chunked", "due", "ended", "form", "is_wav", "output", "transport")

    def __init__(
        self,
        output: Output,
        transport: asyncio.Transport,
        viewer: Viewer,
        *,
        is_wav: bool,
        chunked: bool,
        form: Format | None,
    ) -> None:
        super().__init__(transport.write, viewer)
        self.output = output
        self.transport = transport
        self.is_wav = is_wav
        self.chunked = chunked
        self.form = form
        self.due = 0
        self.ended = False

    def pause(self) -> None:
        """The transport holds bytes it could not pass on."""
        self.ready = False
        self.viewer.behind = True

    def resume(self) -> None:
        """The transport has passed everything on: the chunks it is owed may go."""
        self.ready = True
        self.viewer.behind = False
        self.output.catch_up(self)

    def leave(self) -> None:
        """Give the place up. Safe to call twice."""
        self.output.remove(self)

    def give(self, data: bytes) -> None:
        """Write ``data``; what the kernel does not take stays in the transport."""
        try:
            taken = self.send(data)
        except OSError:
            taken = 0
        if taken != len(data):
            self.finish(data, taken)

    def end(self) -> None:
        """End the answer: nothing more will come of this form."""
        if self.ended:
            return
        self.ended = True
        if self.chunked and not self.transport.is_closing():
            self.give(LAST_CHUNK)
        self.transport.close()
        asyncio.get_running_loop().call_later(FAREWELL_S, self.transport.abort)


class Output:
    """All who listen to one track over HTTP.

    Args:
        track: PCM.
        stream: The camera whose viewers listen; None where they are no viewers.
    """

    bulk = True

    def __init__(self, track: Track, stream: Stream | None = None) -> None:
        self.track = track
        self._stream = stream
        self._drops = 0
        self._listeners: dict[Listener, None] = {}
        self._connections: set[Takeover] = set()
        self._closed = False
        self._recent: deque[Packet] = deque()
        self._kept_ns = 0
        self._next = 0
        self._pass: list[Listener] = []
        self._passing = False
        self._again = False
        self._framed: tuple[Packet, bytes] | None = None

    def __len__(self) -> int:
        return len(self._listeners)

    @property
    def drops(self) -> int:
        """Chunks lost to listeners that were behind, those long gone included."""
        for listener in self._listeners:
            self._settle(listener)
        return self._drops

    async def serve(
        self,
        transport: asyncio.Transport,
        viewer: Viewer,
        *,
        is_wav: bool,
        chunked: bool,
        form: Format | None = None,
        on_start: Callable[[], None] | None = None,
    ) -> None:
        """Serve a listener whose response head is out, until its connection ends (at once when it has ended already).

        Args:
            transport: Its connection.
            viewer: Its counters.
            is_wav: Send a WAV header before the first sample.
            chunked: Frame the answer as HTTP chunks.
            form: The form that the head of the answer promised, None where it promised none.
            on_start: Called when it has its place.
        """
        if self._closed:
            transport.abort()  # its camera was removed while the head was on its way
        if transport.is_closing():
            return
        listener = Listener(self, transport, viewer, is_wav=is_wav, chunked=chunked, form=form)
        connection = Takeover(listener, transport, self._stream)
        self._connections.add(connection)
        try:
            self._add(listener)
            if on_start is not None:
                on_start()
            await connection.ended
        finally:
            self._connections.discard(connection)
            listener.leave()
            if not transport.is_closing():
                connection.close()

    def close(self) -> None:
        """Drop all listeners; none is served any more."""
        self._closed = True
        for connection in tuple(self._connections):
            connection.close()

    def remove(self, listener: Listener) -> None:
        """Take a listener out. Safe to call twice."""
        if listener not in self._listeners:
            return
        self._settle(listener)
        listener.viewer.settle = None
        del self._listeners[listener]
        if not self._listeners:
            self.track.detach(self)
            self.clear()

    # What the track calls.

    def push(self, packet: Packet) -> None:
        """Give a chunk to everybody."""
        recent = self._recent
        recent.append(packet)
        self._next += 1
        self._kept_ns += _length_ns(packet)
        while self._kept_ns > KEPT_S * 1e9 and len(recent) > 1:
            self._kept_ns -= _length_ns(recent.popleft())
        if self._passing:
            self._again = True
        else:
            self._begin()

    def clear(self) -> None:
        """Forget what was heard."""
        self._recent.clear()
        self._kept_ns = 0
        self._framed = None

    def catch_up(self, listener: Listener) -> None:
        """Write what a listener is owed, as far as its transport takes it."""
        while listener.ready and not listener.ended and listener.due < self._next and listener in self._listeners:
            self._settle(listener)
            if listener.due == self._next:
                return
            packet = self._recent[listener.due - self._next]
            first = listener.index < 0
            if listener.form is None:
                listener.form = packet.format
            if packet.format != listener.form:
                listener.end()
                return
            listener.index = listener.due
            listener.due += 1
            data = self._bytes(packet, listener, first=first)
            listener.viewer.count(sent=1, size_bytes=len(data))
            listener.give(data)

    def _settle(self, listener: Listener) -> None:
        """Count what a listener that is behind has lost by now."""
        oldest = self._next - len(self._recent)
        missed = oldest - listener.due
        if missed > 0:
            listener.due = oldest
            listener.viewer.count(drops=missed)
            self._drops += missed

    def _add(self, listener: Listener) -> None:
        listener.due = self._next
        listener.viewer.settle = partial(self._settle, listener)
        self._listeners[listener] = None
        self.track.attach(self)

    def _begin(self) -> None:
        self._passing, self._again = True, False
        self._pass = list(self._listeners)
        self._slice()

    def _slice(self) -> None:
        listeners = self._pass
        end = perf_counter() + SLICE_S
        for done, listener in enumerate(listeners):
            if done and not done % WRITES_PER_CLOCK_READ and perf_counter() > end:
                self._pass = listeners[done:]
                asyncio.get_running_loop().call_soon(self._slice)
                return
            self.catch_up(listener)
        self._pass = []
        self._passing = False
        if self._again:
            asyncio.get_running_loop().call_soon(self._begin)

    def _bytes(self, packet: Packet, listener: Listener, *, first: bool) -> bytes:
        if first and listener.is_wav:
            data = wav.endless_header(packet.format.sample_rate_hz, packet.format.channels) + packet.payload
            return chunk(data) if listener.chunked else data
        if not listener.chunked:
            return packet.payload
        if self._framed is None or self._framed[0] is not packet:
            self._framed = (packet, chunk(packet.payload))
        return self._framed[1]


def _length_ns(packet: Packet) -> int:
    form = packet.format
    return len(packet.payload) * 500_000_000 // (form.channels * form.sample_rate_hz)
