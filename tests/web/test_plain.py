"""The plain canvas page, the reference, and the files themselves."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.request import urlopen

from playwright.sync_api import Browser, expect

from framecast import web
from framecast.service.front import authority
from tests.web.conftest import GONE, Open, Process, Start, Watched
from tests.web.looking import FINGERPRINT, wait_moving


def secure_port(url: str) -> int:
    """Where a server serves HTTPS."""
    with urlopen(f"{url}/api/v1/system", timeout=60) as answer:
        return int(json.load(answer)["https"]["port"])


def test_the_canvas_page_connects_and_disconnects(demo: Process, open_page: Open) -> None:
    page = open_page(demo.url + "/mjpeg?camera=robot").page
    wait_moving(page, "#picture")
    assert page.get_by_label("Camera").input_value() == "robot"
    expect(page.locator("#connection")).to_have_text("Live")
    expect(page.locator("#fps")).to_have_text(re.compile(r"1[0-9](\.\d)? fps"))
    expect(page.locator("#latency")).to_have_text(re.compile(r"^\d+ ms$"))
    expect(page.locator("#bitrate")).to_have_text(re.compile("bit/s$"))
    page.get_by_role("button", name="Disconnect").click()
    expect(page.locator("#connection")).to_have_text("Disconnected")
    page.get_by_text("Last picture").wait_for()
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page.locator("#connection")).to_have_text("Live")
    page.evaluate("window.seen = undefined")
    wait_moving(page, "#picture")
    page.get_by_label("Camera").select_option("door")
    expect(page.locator("#fps")).to_have_text(re.compile(r"^[4-6](\.\d)? fps"))


def test_the_canvas_page_shows_the_configured_camera(start: Start, open_page: Open, tmp_path: Path) -> None:
    config = tmp_path / "framecast.toml"
    config.write_text(
        '[compat]\nm5 = "stack"\n[cameras.door]\nurl = "mock:?fps=10"\n[cameras.stack]\nurl = "mock:?fps=10"\n'
    )
    server = start("serve", "--config", str(config))
    page = open_page(server.url + "/mjpeg").page
    wait_moving(page, "#picture")
    assert page.get_by_label("Camera").input_value() == "stack"


def test_pages_work_by_https(start: Start, chromium: Browser, tmp_path: Path) -> None:
    data = tmp_path / "data"
    authority.init(data)
    server = start("serve", "--tls-port", "0", "--camera", "door=mock:?fps=10", data=data)
    port = secure_port(server.url)
    context = chromium.new_context(ignore_https_errors=True)
    try:
        watched = Watched(context, f"https://127.0.0.1:{port}", ())
        page = watched.page
        page.goto(f"https://127.0.0.1:{port}/mjpeg")
        wait_moving(page, "#picture")
        assert page.evaluate("isSecureContext")
        assert watched.sockets and all(each.startswith("wss:") for each in watched.sockets)
        assert watched.errors == []
    finally:
        context.close()


def test_the_canvas_page_knows_what_is_not_there(demo: Process, open_page: Open) -> None:
    page = open_page(demo.url + "/mjpeg?camera=nobody").page
    expect(page.locator("#connection")).to_have_text("No such camera")


def test_the_canvas_page_shows_no_camera_in_place_of_the_one_that_was_asked_for(start: Start, open_page: Open) -> None:
    server = start("serve", "--camera", "door=mock:?fps=10")
    page = open_page(server.url + "/mjpeg?camera=nobody").page
    expect(page.locator("#connection")).to_have_text("No such camera")
    assert page.request.patch(f"{server.url}/api/v1/cameras/door", data={"name": "Front door"}).ok
    expect(page.get_by_label("Camera").locator("option")).to_have_text("Front door")
    expect(page.locator("#connection")).to_have_text("No such camera")
    expect(page.get_by_label("Camera")).to_have_value("")


def test_the_canvas_page_shows_no_picture_under_another_name(start: Start, open_page: Open) -> None:
    server = start("serve", "--camera", "door=mock:?fps=10", "--camera", "bell=push:")
    page = open_page(server.url + "/mjpeg?camera=door").page
    wait_moving(page, "#picture")
    page.get_by_label("Camera").select_option("bell")
    expect(page.locator("#connection")).to_have_text("Waiting")
    expect(page.locator("#note-ago")).to_have_text("")
    assert not re.search("[1-9]", page.locator("#picture").evaluate(FINGERPRINT))
    page.get_by_label("Camera").select_option("door")
    page.evaluate("window.seen = undefined")
    wait_moving(page, "#picture")


def test_nothing_that_ticks_is_read_out(start: Start, open_page: Open) -> None:
    server = start("serve", "--camera", "door=mock:?fps=10")
    pages = [open_page(server.url + path, expected=GONE).page for path in ("/", "/cameras/door", "/mjpeg")]
    for page in pages:
        wait_moving(page, "framecast-player, #picture")
    server.stop()
    for page, ticks in zip(pages, ("#gone-when", "#gone-when", "#note-ago"), strict=True):
        expect(page.locator(ticks)).not_to_be_empty()
        assert page.locator(f"[role=status]:has({ticks}), {ticks}[role=status]").count() == 0
        expect(page.get_by_role("status").filter(has_text="Server gone").first).to_be_visible()


def test_without_a_camera_the_canvas_page_leads_to_where_one_is_added(start: Start, open_page: Open) -> None:
    page = open_page(start("serve").url + "/mjpeg").page
    expect(page.locator("#connection")).to_have_text("No camera yet")
    expect(page.locator("#connect")).to_be_hidden()
    page.locator("#stage").get_by_role("link", name="All cameras").click()
    page.get_by_role("button", name="Add a camera").wait_for()
    expect(page.locator("#boxes")).to_be_hidden()


def test_the_reference_lists_every_route(demo: Process, open_page: Open) -> None:
    page = open_page(demo.url + "/docs").page
    page.locator(".route").first.wait_for()
    document = page.request.get(demo.url + "/api/openapi.json").json()
    assert page.locator(".route").count() == sum(len(methods) for methods in document["paths"].values())
    page.keyboard.press("/")
    page.keyboard.type("snapshot jpg")
    expect(page.locator(".route:visible h3").first).to_contain_text("/api/v1/cameras/{id}/snapshot.jpg")
    page.get_by_label("Search").fill("there is nothing like it")
    expect(page.get_by_role("status")).to_contain_text("Nothing has all of these words")


def test_files_are_asked_for_once(demo: Process, open_page: Open) -> None:
    page = open_page(demo.url).page
    page.locator("fc-tile").first.wait_for()
    statuses: list[int] = []
    page.on("response", lambda response: statuses.append(response.status) if "/static/" in response.url else None)
    answer = page.request.get(demo.url + "/static/js/wall.js")
    again = page.request.get(demo.url + "/static/js/wall.js", headers={"If-None-Match": answer.headers["etag"]})
    assert (answer.status, again.status) == (200, 304)


def test_nothing_in_a_page_needs_a_looser_policy() -> None:
    for path, asset in web.load().items():
        if path.endswith(".html"):
            text = asset.body.decode()
            assert not re.search(r"\sstyle=|<style|\son\w+=|<script(?![^>]*\ssrc=)|https?://", text), path


def test_everything_a_page_names_is_there() -> None:
    assets = web.load()
    assert set(web.PAGES.values()) <= assets.keys()
    for path, asset in assets.items():
        if path.endswith(".png"):
            continue
        text = asset.body.decode()
        folder = path.rpartition("/")[0]
        if path.endswith(".js"):
            names = re.findall(r'(?:from|import) "\./([^"]+)"', text)
        elif path.endswith(".css"):
            names = re.findall(r'url\("([^"]+)"\)', text)
        else:
            names, folder = re.findall(r'(?:src|href)="(?:\.\./)?(static/[^"]+)"', text), ""
        for name in names:
            assert f"{folder}/{name}".lstrip("/") in assets, f"{path} asks for {name}"


def test_no_file_is_left_that_nothing_asks_for() -> None:
    assets = web.load()
    # The service worker names all files, whoever needs them.
    asking = [path for path in assets if path != web.WORKER and not path.endswith(".png")]
    everything = "\n".join(assets[path].body.decode() for path in asking)
    for path in assets:
        assert path in web.PAGES.values() or path.rpartition("/")[2] in everything, path
