"""Watching over WebRTC: WHEP (draft-ietf-wish-whep, after RFC 9725).

A browser POSTs its offer and gets the answer, with all of our candidates in it, and the path of its own resource. Its
further candidates may come by PATCH; DELETE lets it go at once. Whoever just disappears is noticed by ICE and DTLS.
"""

from __future__ import annotations

from aiohttp import web

from framecast.output.webrtc.peer import Peer
from framecast.service.access.rights import Right
from framecast.service.api import query
from framecast.service.api.leaving import while_here
from framecast.service.api.watch import allowed
from framecast.service.errors import ApiError, bad_request, closing, not_found
from framecast.service.front.bodies import read_body
from framecast.service.front.routing import Call, Route
from framecast.service.service import Service
from framecast.wire import sdp

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
RESOURCE = "/api/v1/whep/"


def routes(service: Service) -> list[Route]:
    """The routes of this module."""
    timeout_s = service.settings.limits.body_timeout_s
    peering = service.peering

    async def begin(call: Call) -> web.StreamResponse:
        service.camera(call.parameter)
        offer = await _text(call, SDP, timeout_s)
        camera = service.camera(call.parameter)  # as it is now: it may have been replaced while the offer came
        wish = query.wish(call.query, camera.options)
        # Who asks for nothing leaves it to the server.
        adapts = wish.auto or not call.query.keys() & {"quality", "width"}
        if service.closing:
            raise closing()
        async with while_here(service, camera):
            peer, answer = await peering.open(
                camera, offer, wish.coded("h264"), address=call.peer, grant=call.grant, adapts=adapts
            )
        transport = call.request.transport
        if transport is None or transport.is_closing():
            peer.end()  # without the answer it can't come, and would have a viewer's place up to then
        response = web.Response(body=answer.encode(), status=201, content_type=SDP)
        response.headers["Location"] = call.client.path(RESOURCE + peer.token)
        response.headers["Cache-Control"] = "no-store"
        response.headers["Accept-Patch"] = FRAGMENT
        for server in peering.ice_servers:
            response.headers.add("Link", server.link)
        return response

    async def trickle(call: Call) -> web.StreamResponse:
        peer = _peer(call)
        text = await _text(call, FRAGMENT, timeout_s)
        try:
            fragment = sdp.parse_fragment(text)
        except sdp.SdpError as error:
            raise ApiError(400, "bad_sdp", f"This fragment can't be read: {error}") from None
        if fragment.ufrag and fragment.ufrag != peer.ufrag:
            # RFC 9725, 4.3.3
            raise ApiError(422, "no_ice_restart", "ICE can't be restarted here; DELETE this resource and POST anew")
        await peer.link.trickle(fragment)
        return web.Response(status=204)

    async def end(call: Call) -> web.StreamResponse:
        _peer(call).end()
        return web.Response(status=200)

    def _peer(call: Call) -> Peer:
        found = peering.find(call.parameter)
        if found is None:
            raise not_found("There is no such WebRTC viewer (any more)")
        allowed(service, call, found[0], Right.WATCH)
        return found[1]

    watch = Right.WATCH
    return [
        Route(
            "POST",
            "/api/v1/cameras/{id}/whep",
            watch,
            begin,
            "Watch and listen over WebRTC (WHEP): H.264 and Opus, encoded once for all.",
            query={name: query.WATCH[name] for name in ("fps", "width", "quality")},
            body=SDP,
            answer=f"201 {SDP}, Location",
            tag="watch",
        ),
        Route(
            "PATCH",
            RESOURCE + "{viewer}",
            watch,
            trickle,
            "Add ICE candidates of a WebRTC viewer.",
            body=FRAGMENT,
            answer="204",
            tag="watch",
        ),
        Route("DELETE", RESOURCE + "{viewer}", watch, end, "Let a WebRTC viewer go.", answer="200", tag="watch"),
    ]


async def _text(call: Call, content_type: str, timeout_s: float) -> str:
    if call.request.content_type != content_type:
        raise ApiError(
            415, "wrong_type", f"Send it as {content_type}", headers={"Accept-Post": SDP, "Accept-Patch": FRAGMENT}
        )
    body = await read_body(call.request, max_bytes=sdp.MAX_BYTES, timeout_s=timeout_s)
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise bad_request("This is no text in UTF-8", "bad_sdp") from None
