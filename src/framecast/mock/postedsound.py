"""Sound of devices that push: each chunk a POST, on a connection of its own (one connection's life, see `push`)."""

from __future__ import annotations

from framecast.mock.pushing import Pushing, read_reply, write_request


async def post(device: Pushing) -> None:
    """Each chunk is the body of one POST, all on one connection, with all that there is to say about it."""
    assert device.audio is not None
    options = device.audio.microphone.options
    about = f"X-Sample-Rate: {options.sample_rate_hz}\r\nX-Channels: {options.channels}\r\n"
    await _post(device, about, stamped=True)


async def post_doorbell(device: Pushing) -> None:
    """As `post`, with nothing but the sequence number beside the chunk."""
    await _post(device, "", stamped=False)


async def _post(device: Pushing, about: str, *, stamped: bool) -> None:
    audio = device.audio
    assert audio is not None and audio.target is not None
    line = await device.dial(audio.target)
    with audio.microphone.listen() as ear:
        while True:
            chunk = await ear.next()
            stamp = f"X-Timestamp: {device.stamp_s(chunk.start_s):.6f}\r\n" if stamped else ""
            head = (
                f"POST {audio.target.path} HTTP/1.1\r\nHost: {audio.target.authority}\r\nConnection: keep-alive\r\n"
                f"Content-Type: application/octet-stream\r\n{about}X-Sequence: {chunk.number}\r\n{stamp}"
            )
            await write_request(device, line, head, [chunk.payload], len(chunk.payload))
            audio.record(chunk)
            reply = await read_reply(device, line)
            audio.statuses[reply.status] += 1
            audio.last_answer = reply.body
            if not reply.keeps_open:
                return
