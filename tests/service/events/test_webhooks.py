"""Webhooks: signed, in order, again until they are taken, and never lost."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest

from framecast.core.names import Names
from framecast.service.errors import ApiError
from framecast.service.events import courier
from framecast.service.front import authority
from framecast.service.front.tls import Files
from framecast.service.store import outbox
from framecast.service.store.events import Change, Phase
from tests.service.events.telling import Receiver, Told, happening, office
from tests.service.serving import until
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that nobody has to wait for."""
    monkeypatch.setattr(courier, "FIRST_S", 0.01)


def is_signed(told: Told, key: bytes) -> bool:
    """As a receiver checks it, after the specification."""
    signed = f"{told.headers['webhook-id']}.{told.headers['webhook-timestamp']}.".encode() + told.body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return told.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()


async def test_a_receiver_that_fails_twice_gets_it_the_third_time_in_the_same_bytes(tmp_path: Path) -> None:
    async with Receiver.running() as receiver:
        receiver.statuses = iter((500, 503))
        url = receiver.url.replace("http://", "http://:open%20sesame@")
        async with office(tmp_path, {"events.webhooks": [url]}) as there:
            event = happening()
            await there.announce(event)
            await there.announce(event, Phase.END)
            await until(lambda: len(receiver.told) == 4)
            (sink,) = (await there.sinks()).values()
    first, again, third, end = receiver.told
    assert first.body == again.body == third.body
    assert first.headers["webhook-id"] == third.headers["webhook-id"] != end.headers["webhook-id"]
    assert all(is_signed(told, b"open sesame") for told in receiver.told)
    assert third.path == "/hook"
    assert third.headers["Content-Type"] == "application/json"
    assert json.loads(third.body) == {"event": event.described(), "phase": "start"}
    assert json.loads(end.body)["phase"] == "end"
    assert sink["label"].startswith("http://127.0.0.1:") and "sesame" not in str(sink)


@pytest.mark.parametrize(
    "when", ["Mon, 1 Jan 99999999999 00:00:00 GMT", "Mon, 1 Jan 2030 00:00:00 +999999999999999999", "soon"]
)
async def test_one_that_says_oddly_when_to_come_again_is_told_all_the_same(tmp_path: Path, when: str) -> None:
    async with Receiver.running() as receiver, office(tmp_path, {"events.webhooks": [receiver.url]}) as there:
        receiver.statuses, receiver.headers = iter((429,)), {"Retry-After": when}
        await there.announce(happening())
        carried = next(iter(there.deliveries._couriers.values()))
        await until(lambda: carried.delivered == 1 or there.supervisor.failures)
        assert not there.supervisor.failures
    assert len(receiver.told) == 2


async def test_one_that_is_there_again_while_a_failure_is_written_down_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "FIRST_S", 60.0)
    async with Receiver.running() as receiver, office(tmp_path, {"events.webhooks": [receiver.url]}) as there:
        receiver.statuses = iter((503,))
        carried = next(iter(there.deliveries._couriers.values()))
        settle = carried._settle

        async def settled_late(outcome: outbox.Outcome) -> None:
            await settle(outcome)
            carried.hurry()

        carried._settle = settled_late
        await there.announce(happening())
        await until(lambda: carried.delivered == 1)
    assert len(receiver.told) == 2


async def test_a_secret_that_only_looks_like_base64_is_one_all_the_same(tmp_path: Path) -> None:
    async with Receiver.running() as receiver:
        url = receiver.url.replace("http://", "http://:whsec_%C3%A9@")
        async with office(tmp_path, {"events.webhooks": [url]}) as there:
            (name,) = await there.sinks()
            await there.deliveries.test(name)
    assert is_signed(receiver.told[0], "whsec_\u00e9".encode())


async def test_one_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    async with office(tmp_path, {"events.webhooks": [f"http://127.0.0.1:{free_port()}/"]}) as there:
        await there.announce(happening())
        await until(lambda: next(iter(there.deliveries._couriers.values())).last_error)
        (sink,) = (await there.sinks()).values()
    assert (sink["state"], sink["waiting"], sink["delivered"]) == ("failing", 1, 0)
    assert sink["last_error"].startswith("no connection: ")


async def test_the_order_is_kept_over_a_restart(tmp_path: Path) -> None:
    async with Receiver.running() as receiver:
        options = {"events.webhooks": [receiver.url]}
        receiver.statuses = iter([500] * 1000)
        events = [happening(number) for number in range(3)]
        async with office(tmp_path, options) as there:
            for event in events:
                await there.announce(event)
            await until(lambda: receiver.told)
        receiver.statuses = iter(())
        failed = len(receiver.told)
        async with office(tmp_path, options):
            await until(lambda: len(receiver.told) == failed + 3)
    assert {told.headers["webhook-id"] for told in receiver.told[:failed]} == {f"{events[0].event_id}-1"}
    assert [json.loads(told.body)["event"]["event_id"] for told in receiver.told[failed:]] == [
        event.event_id for event in events
    ]


async def test_one_that_is_not_wanted_does_not_hold_up_the_others(tmp_path: Path) -> None:
    async with Receiver.running() as receiver:
        receiver.statuses = iter([422] * courier.MOST_REFUSALS)
        async with office(tmp_path, {"events.webhooks": [receiver.url]}) as there:
            await there.announce(happening(0))
            await there.announce(happening(1))
            await until(lambda: len(receiver.told) == courier.MOST_REFUSALS + 1)
            await until(lambda: next(iter(there.deliveries._couriers.values())).delivered == 1)
            (sink,) = (await there.sinks()).values()
    assert (sink["given_up"], sink["waiting"]) == (1, 0)


async def test_nothing_is_given_up_because_the_time_was_learnt_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that starts without a network believes it is days ago, and learns better when that is there."""
    monkeypatch.setattr("framecast.service.events.deliveries.TIDY_S", 0.02)
    async with Receiver.running() as receiver, office(tmp_path) as there:
        receiver.statuses = iter([503] * 1000)
        there.deliveries._now_s = lambda: time.time() + 3 * 86_400
        sink, _ = await there.deliveries.add_webhook(receiver.url, None, trusted=True)
        old, new = happening(0), happening(1)
        there.log.store.write([Change(old, Phase.START)], time.time() - 3 * 86_400)
        await there.announce(new)
        waiting = there.deliveries._outbox.waiting
        await until(lambda: waiting() == {sink.name: 1})
        tried = len(receiver.told)
        await until(lambda: len(receiver.told) > tried + 1)
        receiver.statuses = iter(())
        await until(lambda: not waiting())
    assert json.loads(receiver.told[-1].body)["event"]["event_id"] == new.event_id


async def test_what_too_many_push_out_is_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outbox, "MOST_WAITING", 2)
    async with Receiver.running() as receiver, office(tmp_path, {"events.webhooks": [receiver.url]}) as there:
        receiver.statuses = iter([503] * 1000)
        for number in range(5):
            await there.announce(happening(number))
        (sink,) = (await there.sinks()).values()
        assert (sink["waiting"], sink["given_up"], sink["delivered"]) == (2, 3, 0)
        with there.log.store._database.write() as connection:
            connection.execute(
                "CREATE TRIGGER full BEFORE INSERT ON events WHEN NEW.rule = 'r2' BEGIN SELECT RAISE(ABORT, ''); END"
            )
        for event in (happening(5), happening(6, rule="r2")):
            assert there.log.put(event, Phase.START)
        assert not await there.log.flush()
        with there.log.store._database.write() as connection:
            connection.execute("DROP TRIGGER full")
        assert await there.log.flush()
        (sink,) = (await there.sinks()).values()
        assert (sink["waiting"], sink["given_up"]) == (2, 5), "what was not written pushed nothing out"
        assert [counted[2] for counted in there.deliveries.counts()] == [5]
    said = [each.getMessage() for each in caplog.records if "the oldest go" in each.getMessage()]
    assert len(said) == 1 and said[0].endswith("; 1 are given up so far")


async def test_what_waited_for_a_day_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framecast.service.events.deliveries.TIDY_S", 0.02)
    monkeypatch.setattr(courier, "FIRST_S", 60.0)
    async with Receiver.running() as receiver, office(tmp_path, {"events.webhooks": [receiver.url]}) as there:
        receiver.statuses = iter([503])
        await there.announce(happening())
        carried = next(iter(there.deliveries._couriers.values()))
        await until(lambda: carried.state == "failing" and carried.retry_in_s is not None)
        with there.log.store._database.write() as connection:
            connection.execute("UPDATE announcements SET at_s = at_s - 3 * 86400")
        await until(lambda: not there.deliveries._outbox.waiting())
        await until(lambda: carried.given_up == 1)


async def test_what_is_left_of_an_announcement_that_is_lost_holds_up_no_event(tmp_path: Path) -> None:
    async with Receiver.running() as receiver, office(tmp_path, {"events.webhooks": [receiver.url]}) as there:
        (name,) = await there.sinks()
        with there.log.store._database.write() as connection:
            connection.execute("INSERT INTO deliveries (sink, seq, attempts, due_s) VALUES (?, 1, 9, 9e9)", (name,))
        await there.announce(happening())
        await until(lambda: len(receiver.told) == 1)


async def test_rules_name_who_is_told_and_quiet_hours_are_quiet(tmp_path: Path) -> None:
    async with Receiver.running() as receiver, office(tmp_path, {"events.webhooks": [receiver.url]}) as there:
        await there.announce(happening(0, notify=("push",)))
        await there.announce(happening(1, quiet=True))
        await there.announce(happening(2, notify=("mqtt", "webhook")))
        await until(lambda: receiver.told)
    assert [json.loads(told.body)["event"]["start"] for told in receiver.told] == [happening(2).start_s]


async def test_one_that_is_added_is_told_and_one_that_is_removed_is_not(tmp_path: Path) -> None:
    async with Receiver.running() as receiver:
        async with office(tmp_path, {"network.allow_loopback": True}) as there:
            sink, secret = await there.deliveries.add_webhook(receiver.url, None, trusted=False)
            await there.announce(happening(0))
            await until(lambda: len(receiver.told) == 1)
            with pytest.raises(ApiError, match="already"):
                await there.deliveries.add_webhook(receiver.url, None, trusted=False)
            # Else it is told again after the restart.
            await until(lambda: not there.deliveries._outbox.waiting())
        assert is_signed(receiver.told[0], base64.b64decode(secret.removeprefix("whsec_")))
        async with office(tmp_path, {"network.allow_loopback": True}) as there:
            await there.announce(happening(1))
            await until(lambda: len(receiver.told) == 2)
            assert is_signed(receiver.told[1], base64.b64decode(secret.removeprefix("whsec_")))
            await there.deliveries.remove_webhook(sink.id)
            await there.announce(happening(2))
            assert await there.sinks() == {}
        async with office(tmp_path, {"network.allow_loopback": True}) as there:
            assert await there.sinks() == {}
    assert len(receiver.told) == 2


async def test_one_that_comes_back_is_not_told_what_waited_for_it_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "FIRST_S", 60.0)
    async with Receiver.running() as receiver, office(tmp_path) as there:
        receiver.statuses = iter((503,))
        sink, _ = await there.deliveries.add_webhook(receiver.url, None, trusted=True)
        await there.announce(happening(0))
        carried = there.deliveries._couriers[sink.name]
        await until(lambda: carried.state == "failing")
        await asyncio.gather(*(there.deliveries.remove_webhook(sink.id) for _ in range(2)))
        await there.deliveries.add_webhook(receiver.url, "another", trusted=True)
        tried = len(receiver.told)
        await there.announce(happening(1))
        await until(lambda: there.deliveries._couriers[sink.name].delivered == 1)
        assert [json.loads(told.body)["event"]["start"] for told in receiver.told[tried:]] == [happening(1).start_s]
        assert is_signed(receiver.told[-1], b"another")


async def test_one_of_the_api_may_be_neither_here_nor_at_a_metadata_service(tmp_path: Path) -> None:
    async with Receiver.running() as receiver, office(tmp_path) as there:
        for url in (receiver.url, "http://localhost/", "http://169.254.169.254/", "http://[::ffff:127.0.0.1]/"):
            with pytest.raises(ApiError, match=r"allow_.* events\.webhooks may be anywhere") as refused:
                await there.deliveries.add_webhook(url, None, trusted=False)
            assert "camera" not in str(refused.value)
        for url in ("ftp://example.org/", "", 5):
            with pytest.raises(ApiError, match="url has to be"):
                await there.deliveries.add_webhook(url, None, trusted=False)
        assert await there.sinks() == {}
        sink, _ = await there.deliveries.add_webhook(receiver.url, None, trusted=True)
        await there.deliveries.test(sink.name)
        assert json.loads(receiver.told[0].body)["phase"] == "test"


async def test_a_name_that_leads_here_is_found_out_when_it_is_connected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up_in = []

    def here(*_: object, **__: object) -> object:
        looked_up_in.append(threading.current_thread().name)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async with Receiver.running() as receiver, office(tmp_path) as there:
        port = int(receiver.url.rpartition(":")[2].partition("/")[0])
        monkeypatch.setattr(there.deliveries._checked, "_names", Names(here))
        sink, _ = await there.deliveries.add_webhook(f"http://rebinding.example:{port}/", None, trusted=False)
        with pytest.raises(ApiError, match=r"webhooks on this machine are not allowed \(network\.allow_loopback\)"):
            await there.deliveries.test(sink.name)
        assert not receiver.told
    (thread,) = looked_up_in
    assert thread == "names", "in the threads of all, slow names would keep cameras from being found"


@pytest.mark.parametrize("answer", [b"HTTP/1.1 99999 no\r\n\r\n", b"what is this\r\n\r\n", b""])
async def test_what_is_no_answer_is_told_of_without_the_path_that_lets_in(tmp_path: Path, answer: bytes) -> None:
    async def garble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(garble, "127.0.0.1", 0) as door:
        url = f"http://127.0.0.1:{door.sockets[0].getsockname()[1]}/open-sesame"
        async with office(tmp_path, {"events.webhooks": [url]}) as there:
            (name,) = await there.sinks()
            with pytest.raises(ApiError, match="no answer: ") as caught:
                await there.deliveries.test(name)
    assert "sesame" not in caught.value.message and "\n" not in caught.value.message


async def test_a_certificate_that_nobody_signed_is_refused(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.init(tmp_path, ["127.0.0.1"])
    context.load_cert_chain(Files.of(tmp_path).certificate)
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context) as door:
        url = f"https://127.0.0.1:{door.sockets[0].getsockname()[1]}/"
        async with office(tmp_path / "data", {"events.webhooks": [url, url]}) as there:
            (name,) = await there.sinks()
            with pytest.raises(ApiError, match="certificate"):
                await there.deliveries.test(name)


async def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    async with Receiver.running() as receiver, office(tmp_path, {"events.webhooks": [receiver.url]}) as there:
        receiver.statuses, receiver.headers = iter((307,)), {"Location": receiver.url}
        (name,) = await there.sinks()
        with pytest.raises(ApiError, match="status 307"):
            await there.deliveries.test(name)
        assert len(receiver.told) == 1
