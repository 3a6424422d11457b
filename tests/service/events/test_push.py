"""Browsers that are told by Web Push: sealed for them alone, of what their owner may watch, until they are gone."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography.exceptions import InvalidTag

from framecast.core.errors import StateError
from framecast.service.errors import ApiError
from framecast.service.events import courier, push, webpush
from framecast.service.events.push import Holders, PushSink
from framecast.service.store.events import Change, Phase
from tests.service.events.pushing import Browser, claims
from tests.service.events.telling import Office, Receiver, happening, office
from tests.service.serving import serving, until

pytestmark = pytest.mark.anyio

AT_HOME = {"push.allow_private": True, "push.contact": "mailto:me@example.org"}


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that nobody has to wait for."""
    monkeypatch.setattr(courier, "FIRST_S", 0.01)


async def subscribe(there: Office, browser: Browser, holder: str = "user:anna") -> str:
    return await there.deliveries.browsers.subscribe(
        browser.subscription, holder=holder, stamp="1", agent="a test", now_s=time.time()
    )


async def test_a_browser_reads_what_nobody_else_can_and_knows_from_whom_it_is(tmp_path: Path) -> None:
    async with Receiver.running() as service, office(tmp_path, AT_HOME) as there:
        browser, other = Browser(service.url + "/1"), Browser(service.url + "/1")
        key = await there.deliveries.browsers.key()
        await subscribe(there, browser)
        service.statuses = iter((500, 429, 201))
        event = happening(names=("Anna", "unknown"), zone="porch")
        await there.announce(event, picture=b"a picture")
        await there.announce(event, Phase.END)
        await there.announce(happening(1, notify=("webhook",)))
        await until(lambda: len(service.told) == 3)
        (sink,) = (await there.sinks()).values()
        assert sink["label"] == "anna, by 127.0.0.1"
        first, _, third = service.told
        assert browser.read(first) == browser.read(third)
        assert browser.read(third) == {
            "event_id": event.event_id,
            "camera": "door",
            "title": "Front door",
            "text": "Anna in porch",
            "at": event.start_s,
            "path": f"events#{event.event_id}",
            "picture": f"/api/v1/events/{event.event_id}/picture.jpg",
        }
        with pytest.raises(InvalidTag):
            other.open(third.body)
        said = claims(third, key)
        assert said["aud"] == "http://" + urlsplit(service.url).netloc
        assert said["sub"] == "mailto:me@example.org"
        assert time.time() < said["exp"] <= time.time() + 24 * 3600


async def test_the_key_stays_and_so_do_those_who_know_it(tmp_path: Path) -> None:
    async with Receiver.running() as service:
        browser = Browser(service.url)
        async with office(tmp_path, AT_HOME) as there:
            key = await there.deliveries.browsers.key()
            await subscribe(there, browser)
            await subscribe(there, browser)
        async with office(tmp_path, AT_HOME) as there:
            assert await there.deliveries.browsers.key() == key
            await there.announce(happening())
            await until(lambda: service.told)
            assert claims(service.told[0], key)
            await there.deliveries.browsers.unsubscribe(browser.endpoint, holder="user:berta", is_owner=False)
            assert len(await there.sinks()) == 1
            await there.deliveries.browsers.unsubscribe(browser.endpoint, holder="user:anna", is_owner=False)
            assert await there.sinks() == {}
        async with office(tmp_path, AT_HOME) as there:
            assert await there.sinks() == {}


async def test_what_happened_hours_ago_is_no_news(tmp_path: Path) -> None:
    async with Receiver.running() as service, office(tmp_path, AT_HOME) as there:
        browser = Browser(service.url)
        await subscribe(there, browser)
        old, young, new = happening(0), happening(1), happening(2)
        for event, age_s in ((old, push.TTL_S + 60), (young, push.TTL_S - 60)):
            there.log.store.write([Change(event, Phase.START)], time.time() - age_s)
        await there.announce(new)
        await until(lambda: not there.deliveries._outbox.waiting())
        (sink,) = (await there.sinks()).values()
        assert (sink["given_up"], sink["delivered"]) == (1, 2)
        assert [browser.read(each)["event_id"] for each in service.told] == [young.event_id, new.event_id]


@pytest.mark.parametrize("status", [404, 410])
async def test_a_browser_that_is_gone_is_forgotten(tmp_path: Path, status: int) -> None:
    async with Receiver.running() as service:
        async with office(tmp_path, AT_HOME) as there:
            await subscribe(there, Browser(service.url))
            service.statuses = iter((status,))
            await there.announce(happening())
            await until(lambda: not there.deliveries._couriers and not there.deliveries.receivers.subscriptions())
        async with office(tmp_path, AT_HOME) as there:
            assert await there.sinks() == {}


async def test_a_browser_hears_of_what_its_owner_may_watch_now(tmp_path: Path) -> None:
    may = {"door"}
    known = {"user:anna"}
    holders = Holders(lambda holder, _: holder in known, lambda holder, _, camera: holder in known and camera in may)
    async with Receiver.running() as service, office(tmp_path, AT_HOME, holders) as there:
        browser = Browser(service.url)
        await subscribe(there, browser)
        await there.announce(happening(0, camera="yard"))
        service.statuses = iter((500,) * 1000)
        await there.announce(happening(1))
        await until(lambda: service.told)
        may.clear()  # while it waits
        (carried,) = there.deliveries._couriers.values()
        await until(lambda: carried.delivered)
        service.statuses = iter(())
        may.add("yard")
        service.told.clear()
        await there.announce(happening(2, camera="yard"))
        await until(lambda: service.told)
        assert browser.read(service.told[0])["camera"] == "yard"
        known.clear()
        with pytest.raises(ApiError, match="no more"):
            await there.deliveries.test(carried.sink.name)


async def test_what_is_no_subscription_is_refused(tmp_path: Path) -> None:
    good = Browser("https://push.example.org/x").subscription
    keys = good["keys"]
    bad = [
        {},
        {**good, "endpoint": "http://push.example.org/x"},
        {**good, "endpoint": "https://me@push.example.org/x"},
        {**good, "endpoint": "https://push.example.org/a b"},
        {**good, "endpoint": 5},
        {**good, "keys": {**keys, "auth": "AAAA"}},
        {**good, "keys": {**keys, "p256dh": keys["auth"]}},
        {**good, "keys": {**keys, "p256dh": "BA" + "A" * 85}},
        {**good, "keys": {**keys, "p256dh": "!"}},
        {**good, "keys": None},
    ]
    async with office(tmp_path) as there:
        for fields in bad:
            with pytest.raises(ApiError) as caught:
                await there.deliveries.browsers.subscribe(fields, holder="", stamp="", agent="", now_s=0)
            assert caught.value.code == "bad_value"


async def test_a_viewer_can_not_have_this_server_knock_at_doors_of_the_house(tmp_path: Path) -> None:
    async with office(tmp_path) as there:
        for host in ("127.0.0.1", "192.168.1.1", "169.254.169.254", "[::1]", "[::ffff:10.0.0.1]", "localhost"):
            name = await subscribe(there, Browser(f"https://{host}:9/x"))
            with pytest.raises(ApiError, match="no address on the internet"):
                await there.deliveries.test(name)
    async with office(tmp_path, AT_HOME) as there:
        name = await subscribe(there, Browser("http://169.254.169.254/latest"))
        with pytest.raises(ApiError, match="no address on the internet"):
            await there.deliveries.test(name)


async def test_one_holder_has_so_many_browsers_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framecast.service.events.browsers.MOST_OF_ONE", 2)
    monkeypatch.setattr("framecast.service.events.browsers.MOST", 4)
    async with office(tmp_path, AT_HOME) as there:
        names = [await subscribe(there, Browser(f"http://127.0.0.1:9/{number}")) for number in range(3)]
        assert list(await there.sinks()) == names[1:]
        for number in range(3, 5):
            await subscribe(there, Browser(f"http://127.0.0.1:9/{number}"), "user:berta")
        with pytest.raises(ApiError, match="browsers are told already"):
            await subscribe(there, Browser("http://127.0.0.1:9/5"), "user:carl")


async def test_two_at_once_are_as_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framecast.service.events.browsers.MOST", 3)
    async with office(tmp_path, AT_HOME) as there:
        browser = Browser("http://127.0.0.1:9/one")
        name, _ = await asyncio.gather(*(subscribe(there, browser, whose) for whose in ("user:anna", "user:bert")))
        (kept,) = there.deliveries.receivers.subscriptions()
        told = there.deliveries._couriers[name].sink
        assert isinstance(told, PushSink)
        assert told.subscription == kept, "whose rights count is who is kept"
        others = (subscribe(there, Browser(f"http://127.0.0.1:9/{number}")) for number in range(5))
        answers = await asyncio.gather(*others, return_exceptions=True)
        assert [isinstance(each, ApiError) for each in answers].count(True) == 3


async def test_over_the_api(tmp_path: Path) -> None:
    async with Receiver.running() as service, serving(tmp_path, options={"push.allow_private": True}) as server:
        browser = Browser(service.url)
        path = "/api/v1/push/subscriptions"
        await server.json("POST", path, json=browser.subscription, status=201)
        (sink,) = (await server.json("GET", "/api/v1/events/sinks"))["sinks"]
        await server.json("POST", f"/api/v1/events/sinks/{sink['sink']}/test")
        assert "test" in browser.read(service.told[0])["text"]
        assert claims(service.told[0], (await server.json("GET", "/api/v1/push/key"))["key"])
        owner, anna = await server.owner(), await server.user("anna", cameras=["cam"])
        # From now on somebody has to be somebody.
        await server.error("POST", path, 401, json=browser.subscription)
        await server.json("POST", path, json=browser.subscription, status=201, headers=anna)
        await server.error("GET", "/api/v1/events/sinks", 403, headers=anna)
        (sink,) = (await server.json("GET", "/api/v1/events/sinks", headers=owner))["sinks"]
        assert sink["label"].startswith("anna, by")
        holders = server.service.deliveries.browsers._holders.may_watch
        stamp = server.service.keyring.stamp_of_secret("user:anna")
        assert holders("user:anna", stamp, "cam") and not holders("user:anna", stamp, "yard")
        assert not holders("user:anna", "another", "cam") and not holders("", "", "cam")
        # Whoever has a password changed shuts others out, and what they subscribed.
        await server.json("PATCH", "/api/v1/users/anna", headers=owner, json={"password": "another one, as long"})
        assert server.service.keyring.stamp_of_holder("user:anna") and not holders("user:anna", stamp, "cam")
        await server.error("POST", f"/api/v1/events/sinks/{sink['sink']}/test", 503, headers=owner)
        await server.json("POST", path, json=browser.subscription, status=201, headers=owner)
        await server.json("DELETE", path, json={"endpoint": browser.endpoint}, status=204, headers=owner)
        assert (await server.json("GET", "/api/v1/events/sinks", headers=owner))["sinks"] == []


async def test_who_logs_out_everywhere_is_notified_nowhere(tmp_path: Path) -> None:
    options = {"push.allow_private": True}
    sinks, path, session = "/api/v1/events/sinks", "/api/v1/push/subscriptions", "/api/v1/session"
    async with Receiver.running() as service, serving(tmp_path, options=options) as server:
        owner, phone, table = await server.owner(), await server.user("anna"), await server.user("anna")
        for number, who in enumerate((owner, phone, phone)):
            browser = Browser(f"{service.url}/{number}").subscription
            await server.json("POST", path, json=browser, status=201, headers=who)
        await server.json("DELETE", session, status=204, headers=table)
        assert len((await server.json("GET", sinks, headers=owner))["sinks"]) == 3, "one browser is not everywhere"
        await server.json("DELETE", f"{session}?everywhere=1", status=204, headers=phone)
        (left,) = (await server.json("GET", sinks, headers=owner))["sinks"]
        assert left["label"].startswith("owner")
    async with serving(tmp_path, options=options) as server:
        assert (await server.json("GET", sinks, headers=await server.owner()))["sinks"] == [left]


async def test_who_is_shut_out_meanwhile_is_not_notified(tmp_path: Path) -> None:
    async with Receiver.running() as service, office(tmp_path, AT_HOME) as there:
        browsers = there.deliveries.browsers

        def refuse() -> None:
            raise ApiError(401, "unauthorised", "gone")

        with pytest.raises(ApiError, match="gone"):
            await browsers.subscribe(
                Browser(service.url).subscription, holder="user:anna", stamp="1", agent="", now_s=1.0, check=refuse
            )
        assert not browsers._sinks


async def test_a_full_disk_keeps_nobody_notified_who_logged_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Receiver.running() as service, serving(tmp_path, options={"push.allow_private": True}) as server:
        await server.owner()
        anna, browsers = await server.user("anna"), server.service.deliveries.browsers
        await server.json("POST", "/api/v1/push/subscriptions", json=Browser(service.url).subscription, status=201,
                          headers=anna)  # fmt: skip

        def full(*_: object) -> None:
            raise StateError("the disk is full")

        monkeypatch.setattr("framecast.service.store.credentials.Credentials.delete_sessions", full)
        monkeypatch.setattr("framecast.service.store.receivers.Receivers.remove_subscriptions_of", full)
        await server.error("DELETE", "/api/v1/session?everywhere=1", 507, headers=anna)
        assert not browsers._sinks
        await server.error("GET", "/api/v1/cameras", 401, headers=anna)


async def test_without_the_packages_it_is_said_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webpush, "find_spec", lambda _: None)
    async with serving(tmp_path) as server:
        assert "framecast[events]" in await server.error("GET", "/api/v1/push/key", 503, "not_installed")
