"""What an operator changes about a camera, and what is said where that is refused."""

from __future__ import annotations

from playwright.sync_api import Route, expect

from tests.web.conftest import Open, Start

SYNTHETIC = "mock:?fps=5&size=320x240"


def test_an_address_that_is_refused_is_blamed_on_no_token(start: Start, open_page: Open) -> None:
    server = start("serve")
    page = open_page(server.url, expected=("403",)).page
    assert page.request.post(f"{server.url}/api/v1/cameras", data={"id": "door", "url": SYNTHETIC}).ok
    page.goto(server.url + "/cameras/door")
    page.get_by_role("heading", name="door").wait_for()
    page.get_by_role("tab", name="Settings").click()
    page.get_by_label("Address", exact=True).fill("http://127.0.0.1:15069/stream")
    page.keyboard.press("Enter")
    told = page.get_by_text("Not saved.")
    expect(told).to_contain_text("cameras on this machine are not allowed (network.allow_loopback)")
    expect(told).not_to_contain_text("token")


def test_sound_has_an_address_of_its_own(start: Start, open_page: Open) -> None:
    server = start("serve")
    page = open_page(server.url).page
    page.get_by_role("button", name="Add a camera").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("No camera at hand").click()
    dialog.get_by_role("button", name="Add a synthetic camera").click()
    dialog.get_by_text("Its microphone has an address of its own").click()
    dialog.get_by_label("Address of its sound").fill("http://192.0.2.9:82/audio")
    dialog.get_by_role("button", name="Add", exact=True).click()
    page.locator("fc-tile").wait_for()
    camera = f"{server.url}/api/v1/cameras/synthetic"
    assert page.request.get(camera).json()["audio"]["url"] == "http://192.0.2.9:82/audio"
    page.goto(server.url + "/cameras/synthetic")
    page.get_by_role("tab", name="Settings").click()
    field = page.get_by_label("Address of its sound")
    expect(field).to_have_attribute("placeholder", "http://192.0.2.9:82/audio")
    field.fill("http://192.0.2.9:83/audio")
    page.keyboard.press("Enter")
    page.get_by_text("Its sound is read from there now.").wait_for()
    assert page.request.get(camera).json()["audio"]["url"] == "http://192.0.2.9:83/audio"
    page.locator("form", has=field).get_by_role("button", name="Remove").click()
    page.get_by_text("Saved.", exact=True).wait_for()
    assert not (page.request.get(camera).json()["audio"] or {}).get("url")


def test_two_quick_changes_are_made_in_their_order(start: Start, open_page: Open) -> None:
    server = start("serve", "--camera", f"door={SYNTHETIC}")
    page = open_page(server.url + "/cameras/door").page
    camera = f"{server.url}/api/v1/cameras/door"
    page.get_by_role("heading", name="door").wait_for()
    page.get_by_role("tab", name="Settings").click()
    turned = page.get_by_label("Turn the picture")
    held: list[Route] = []

    def hold(route: Route) -> None:
        if route.request.method == "PATCH" and not held:
            held.append(route)
        else:
            route.continue_()

    page.route(camera, hold)
    answered: list[int] = []
    page.on("response", lambda answer: answered.append(answer.status) if answer.request.method == "PATCH" else None)
    turned.select_option("90")
    turned.select_option("180")
    page.get_by_label("Mirror the picture").select_option("vertical")
    while not held:
        page.wait_for_timeout(50)
    held[0].continue_()
    while len(answered) < 3:
        page.wait_for_timeout(50)
    assert answered == [200] * 3
    transform = page.request.get(camera).json()["transform"]
    assert (transform["rotate"], transform["mirror"]) == (180, "vertical")
    expect(turned).to_have_value("180")


def test_a_choice_that_was_refused_is_not_shown(start: Start, open_page: Open) -> None:
    server = start("serve", "--camera", f"door={SYNTHETIC}")
    page = open_page(server.url + "/cameras/door", expected=("503",)).page
    page.get_by_role("heading", name="door").wait_for()
    page.get_by_role("tab", name="Settings").click()
    page.route("**/api/v1/cameras/door", lambda route: route.fulfill(status=503, body="no"))
    policy = page.get_by_label("Read the camera")
    policy.focus()
    policy.select_option("always")
    page.get_by_text("Not saved.").wait_for()
    expect(policy).to_be_focused()
    expect(policy).to_have_value("on_demand")
