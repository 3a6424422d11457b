"""WebRTC viewers of one camera (WHEP): one encode, one cutting into packets, a transport for each.

    offer -> plan() -> Peer: Link (ICE, DTLS, SRTP) <- RtpSeat <- RtpFanout <- track h264, track opus

aiortc and aioice (extra ``webrtc``) are imported when the first peer comes, on a thread, since that takes a third of a
second.
"""

from __future__ import annotations

from framecast.core.stream import Stream
from framecast.output.webrtc.fanouts import Fanouts
from framecast.output.webrtc.peer import Peer


class Output(Fanouts):
    """All WebRTC viewers of one camera.

    Attributes:
        peers: Those there are, connected or about to be.
    """

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream)
        self.peers: set[Peer] = set()
        self._packets = 0
        self._resent = 0

    @property
    def packets(self) -> int:
        """RTP packets sent."""
        return self._packets + sum(seat.packets for peer in self.peers for seat in peer.seats)

    @property
    def resent(self) -> int:
        """RTP packets sent again, since a peer had lost them."""
        return self._resent + sum(seat.resent for peer in self.peers for seat in peer.seats)

    def close(self) -> None:
        """Let all peers go."""
        for peer in tuple(self.peers):
            peer.end()

    def count_out(self, peer: Peer) -> None:
        """A peer has gone; what it counted stays."""
        if peer in self.peers:
            self.peers.discard(peer)
            self._packets += sum(seat.packets for seat in peer.seats)
            self._resent += sum(seat.resent for seat in peer.seats)
