"""Each fault does what the table says, over a real socket."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random
import re
from itertools import pairwise

import numpy as np
import pytest
import simplejpeg

from framecast.core.errors import Misuse
from framecast.mock import damage, stamp
from framecast.mock.device import FakeDevice
from framecast.mock.faults import FAULTS, KINDS, Value, Verdict, parse
from framecast.mock.microphone import SoundOptions
from framecast.wire.jpeg import Inspector, JpegError, verify_scan
from tests.support import raw

pytestmark = pytest.mark.anyio

B = "123456789000000000000987654321"
T = "e8b8c539-047d-4777-a985-fbba6edff11e"


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    pixels = np.random.default_rng(1).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    return stamp.add(simplejpeg.encode_jpeg(pixels, 60, "RGB", "420"), 5, 6)


async def frames(
    faults: list[str], count: int = 12, dialect: str = "tasmota", **more: object
) -> tuple[bytes, FakeDevice]:
    """What a device with ``faults`` wrote until it had written ``count`` frames, and the device."""
    async with FakeDevice(dialect, faults, fps=200, **more) as device:
        async with raw.asked(device.port, device.dialect.path) as reader:
            data = b""
            while len(device.sent) < count:
                data += await asyncio.wait_for(reader.read(65_536), 5)
            device.hang()
            data += await raw.until_silent(reader, 0.05)
        return data, device


def bodies(data: bytes) -> list[bytes]:
    """The parts' bodies by their Content-Length, of Tasmota's stream."""
    found, at = [], 0
    while head := re.compile(rb"Content-Length: (\d+)\r\n\r\n").search(data, at):
        end = head.end() + int(head[1])
        found.append(data[head.end() : end])
        at = end
    return found


async def eventually(target: str, device: FakeDevice) -> raw.Response:
    """The answer of a device that comes and goes."""
    while True:
        try:
            return await raw.get(device.port, target)
        except (EOFError, OSError):
            await asyncio.sleep(0.01)


# The picture


@pytest.mark.parametrize("name", ["truncate", "corrupt-scan", "not-jpeg", "huge"])
def test_a_bad_picture_is_refused_for_the_reason_in_the_table(name: str, jpeg: bytes) -> None:
    for seed in range(40):
        broken = damage.PICTURE_FAULTS[name](jpeg, random.Random(seed))
        with pytest.raises(JpegError) as refused:
            _, trimmed = Inspector().inspect(broken)
            verify_scan(trimmed)
        assert refused.value.fault == FAULTS[name].code


@pytest.mark.parametrize("name", ["padding", "exif-thumbnail", "bogus-exif"])
def test_an_odd_picture_is_a_good_one(name: str, jpeg: bytes) -> None:
    odd = damage.PICTURE_FAULTS[name](jpeg, random.Random(2))
    assert odd != jpeg
    _, trimmed = Inspector().inspect(odd)
    verify_scan(trimmed)
    assert trimmed.endswith(b"\xff\xd9")
    assert (simplejpeg.decode_jpeg(trimmed) == simplejpeg.decode_jpeg(jpeg)).all()
    assert stamp.read(trimmed) == stamp.read(jpeg)


def test_the_thumbnail_has_an_end_of_its_own(jpeg: bytes) -> None:
    odd = damage.exif_thumbnail(jpeg, random.Random(0))
    assert odd.count(b"\xff\xd9") == 2 and odd.count(b"\xff\xd8") == 2


@pytest.mark.parametrize("size", [10, 19_000, 70_000, 300_000])
def test_padding_with_comments_keeps_the_picture(size: int, jpeg: bytes) -> None:
    large = damage.enlarge(jpeg, size)
    assert len(jpeg) <= len(large) <= max(len(jpeg), size + 4)
    assert (simplejpeg.decode_jpeg(large) == simplejpeg.decode_jpeg(jpeg)).all()
    assert stamp.read(large) == stamp.read(jpeg)


@pytest.mark.parametrize("name", ["truncate", "corrupt-scan", "not-jpeg", "huge"])
async def test_about_the_share_asked_for_is_bad_and_it_is_known_which(name: str) -> None:
    data, device = await frames([f"{name}=0.4"], 30)
    bad, good = device.ids(Verdict.BAD), device.ids(Verdict.GOOD)
    assert 4 <= len(bad) <= 22 and len(bad) + len(good) == len(device.sent)
    inspector, passed = Inspector(), []
    for body in bodies(data):
        try:
            _, trimmed = inspector.inspect(body)
            verify_scan(trimmed)
        except JpegError:
            continue
        passed.append(stamp.read(trimmed).frame_id)
    assert passed == good


async def test_chance_is_repeatable() -> None:
    runs = [(await frames(["truncate=0.5"], 60, seed=seed))[1] for seed in (3, 3, 4)]
    first, again, other = ({sent.frame_id: sent.verdict for sent in device.sent} for device in runs)
    # A busy machine may miss one or another.
    assert len(first.keys() & again.keys() & other.keys()) > 10
    assert all(first[each] is again[each] for each in first.keys() & again.keys())
    assert any(first[each] is not other[each] for each in first.keys() & other.keys())


# Its wrapping


async def test_no_content_length() -> None:
    data, _ = await frames(["no-content-length"], 3)
    assert b"Content-Length" not in data
    assert data.count(f"--{T}\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8".encode("latin-1")) >= 3


async def test_wrong_content_length() -> None:
    data, device = await frames(["wrong-content-length=1"], 6)
    declared = [int(length) for length in re.findall(rb"Content-Length: (\d+)", data)]
    true = [sent.size_bytes for sent in device.sent]
    assert all(one != other for one, other in zip(declared, true, strict=False))
    assert set(device.ids(Verdict.DOUBTFUL)) == set(device.ids())


async def test_length_wrap() -> None:
    data, device = await frames(["length-wrap"], 3)
    size = device.sent[0].size_bytes
    assert size > 0xFFFF
    assert int(re.search(rb"Content-Length: (\d+)", data)[1]) == size & 0xFFFF


async def test_no_timestamp() -> None:
    data, _ = await frames(["no-timestamp"], 2, "espressif")
    assert b"X-Timestamp" not in data and b"Content-Length" in data


async def test_jump() -> None:
    data, _ = await frames(["jump=0.02"], 60, "espressif")
    stamps = [float(value) for value in re.findall(rb"X-Timestamp: (\S+)", data)]
    steps = [after - before for before, after in pairwise(stamps)]
    assert any(abs(step) > 5 for step in steps)


@pytest.mark.parametrize(
    ("dialect", "opening"),
    [
        ("espressif", f"--{B}\r\n\r\n--{B}\r\n"),
        ("esphome", f"--{B}\r\n--{B}\r\nContent-Type"),
        ("tasmota", f"--{T}\r\n--{T}\r\nContent-Type"),
        ("tasmota-old", f"--{T}\r\n--{T}\r\nContent-Type"),
    ],
)
async def test_doubled_boundary(dialect: str, opening: str) -> None:
    data, _ = await frames(["doubled-boundary"], 2, dialect)
    body = re.sub(rb"(?m)^[0-9a-f]+\r\n", b"", data.partition(b"\r\n\r\n")[2])  # the chunks' lengths
    assert body.replace(b"\r\n\r\n\r\n", b"\r\n\r\n").startswith(opening.encode()) or opening.encode() in body[:120]


async def test_boundary_dashes() -> None:
    data, _ = await frames(["boundary-dashes"], 2)
    assert f"boundary=--{T}\r\n\r\n--{T}\r\n".encode() in data


async def test_header_case_and_no_space() -> None:
    data, _ = await frames(["header-case", "no-space"], 2)
    assert b"\r\ncONTENT-tYPE:multipart/x-mixed-replace" in data
    assert b"\r\ncONTENT-tYPE:image/jpeg\r\ncONTENT-lENGTH:" in data


async def test_lf_only() -> None:
    data, _ = await frames(["lf-only"], 2)
    head = data.partition(b"\xff\xd8")[0]
    assert b"\r" not in head and head.count(b"\n") >= 6


async def test_text_part() -> None:
    data, _ = await frames(["text-part=1"], 2, "esphome")
    assert f"--{B}\r\nContent-Type: text/plain\r\n\r\nNo frames send.\r\n--{B}\r\n".encode() in data


# Time


async def test_stall_ends_by_itself() -> None:
    device = FakeDevice(faults=["stall=0.05"], fps=100, stall_s=0.4)
    async with device, raw.asked(device.port, "/stream") as reader:
        clock = asyncio.get_running_loop()
        longest, last = 0.0, clock.time()
        while longest < 0.3:
            await asyncio.wait_for(reader.read(65_536), 5)
            longest, last = max(longest, clock.time() - last), clock.time()
        await raw.until_pictures(reader, 3)
    assert longest < 1.5


async def test_hang_keeps_the_connection_until_recovery() -> None:
    device = FakeDevice(faults=["hang=0"], fps=100)
    async with device, raw.asked(device.port, "/stream") as reader:
        data = await raw.until_pictures(reader, 1)
        data += await raw.until_silent(reader, 0.2)
        assert len(device.ids()) <= 3
        device.recover()
        await raw.until_pictures(reader, len(raw.STAMPED_JPEG.findall(data)) + 1, data)


async def test_freeze_stops_inside_a_picture() -> None:
    async with FakeDevice(fps=100) as device, raw.asked(device.port, "/stream") as reader:
        data = await raw.until_pictures(reader, 2)
        device.freeze()
        while data.count(b"\xff\xd8\xff\xfe") == len(raw.STAMPED_JPEG.findall(data)):
            data += await asyncio.wait_for(reader.read(65_536), 5)
        data += await raw.until_silent(reader, 0.2)
        started, whole = data.count(b"\xff\xd8\xff\xfe"), len(raw.STAMPED_JPEG.findall(data))
        assert started == whole + 1 == len(device.sent) + 1
        device.recover()
        await raw.until_pictures(reader, whole + 2, data)
        assert device.ids(Verdict.DOUBTFUL) == [device.ids()[whole]]


async def test_slow_keeps_to_its_rate() -> None:
    async with FakeDevice(faults=["slow=40000"], fps=100) as device, raw.asked(device.port, "/stream") as reader:
        start = asyncio.get_running_loop().time()
        data = await raw.until_pictures(reader, 1)
        took = asyncio.get_running_loop().time() - start
    assert len(data) / took < 60_000


async def test_reboot_drops_everybody_and_uptime_starts_anew() -> None:
    async with FakeDevice(faults=["reboot=0.1"], fps=100, down_s=1.5) as device:
        async with raw.asked(device.port, "/stream") as reader:
            with pytest.raises((EOFError, ConnectionError)):
                await raw.until_pictures(reader, 1_000)
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", device.port)
        answer = await eventually("/capture", device)
        assert float(re.search(r"X-Timestamp: (\S+)", answer.head)[1]) < 5


async def test_wifi_loop_loses_it_again_and_again_but_keeps_its_uptime() -> None:
    lost = 0
    async with FakeDevice(faults=["wifi-loop=0.05"], fps=100, down_s=0.02) as device:
        while lost < 3:
            try:
                async with raw.asked(device.port, "/stream") as reader:
                    await raw.until_pictures(reader, 1_000)
            except (EOFError, OSError):
                lost += 1
                await asyncio.sleep(0.01)
        answer = await eventually("/capture", device)
        assert float(re.search(r"X-Timestamp: (\S+)", answer.head)[1]) >= 5000


# The door


async def test_refuse_listens_later() -> None:
    async with FakeDevice(faults=["refuse=1.5"]) as device:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", device.port)
        assert (await eventually("/capture", device)).status == 200


async def test_http_500() -> None:
    async with FakeDevice(faults=["http-500=1"]) as device:
        assert (await raw.get(device.port, "/stream")).status == 500
        assert device.ids() == []


async def test_basic_login() -> None:
    async with FakeDevice(faults=["auth=me:se:cret"], fps=50) as device:
        answer = await raw.get(device.port, "/capture")
        assert answer.status == 401
        assert 'WWW-Authenticate: Basic realm="ESP32-CAM"' in answer.head
        for login, status in ((b"me:se:cret", 200), (b"me:wrong", 401)):
            header = f"Authorization: Basic {base64.b64encode(login).decode()}\r\n"
            assert (await raw.get(device.port, "/capture", header)).status == status


async def test_digest_login() -> None:
    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    async with FakeDevice(faults=["auth-digest=me:pass"], fps=50) as device:
        answer = await raw.get(device.port, "/capture?x=1")
        assert answer.status == 401
        nonce = re.search(r'nonce="([^"]+)"', answer.head)[1]
        for password, status in (("pass", 200), ("wrong", 401)):
            secret = md5(f"me:ESP32-CAM:{password}")
            proof = md5(f"{secret}:{nonce}:00000001:abc:auth:{md5('GET:/capture?x=1')}")
            header = (
                f'Authorization: Digest username="me", realm="ESP32-CAM", nonce="{nonce}", uri="/capture?x=1", '
                f'qop=auth, nc=00000001, cnonce="abc", response="{proof}"\r\n'
            )
            assert (await raw.get(device.port, "/capture?x=1", header)).status == status


# The table


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_every_fault_can_be_had_by_name_alone(kind: object) -> None:
    fault = parse(kind.name)
    assert fault.login or fault.value == kind.default
    assert kind.about and (kind.listens or kind.pushes)
    if kind.listens:
        async with FakeDevice(faults=[kind.name], audio=SoundOptions() if kind.sound else None):
            pass


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nonsense", "no fault 'nonsense': truncate, corrupt-scan"),
        ("truncate=2", "truncate='2' can't be used: share of frames"),
        ("truncate=x", "share of frames"),
        ("stall=-1", "seconds after the first frame"),
        ("lf-only=1", "no value"),
        ("auth=nobody", "user:password"),
        ("slow=0", "bytes a second"),
    ],
)
def test_a_wrong_fault_is_explained(text: str, says: str) -> None:
    with pytest.raises(Misuse, match=says):
        parse(text)


def test_a_fault_that_the_dialect_cannot_have_is_refused() -> None:
    with pytest.raises(Misuse, match="post-raw can't have the fault refuse: it pushes"):
        FakeDevice("post-raw", ["refuse"], to="http://127.0.0.1:1")


def test_values_have_their_meaning() -> None:
    assert {kind.value for kind in KINDS} == set(Value)
