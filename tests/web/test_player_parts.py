"""The parts of the player that are pure arithmetic, run where they run: in the browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from framecast.wire import fmp4, rtp
from tests.web.conftest import Process


@pytest.fixture(scope="module")
def page(demo: Process, chromium: Browser) -> Iterator[Page]:
    """Any page of the server; modules are imported from there."""
    page = chromium.new_page()
    page.goto(demo.url + "/docs")
    yield page
    page.close()


def run(page: Page, module: str, body: str, *arguments: Any) -> Any:
    """What ``body`` returns, given the module's exports as ``all`` and the arguments as ``given``."""
    return page.evaluate(
        f"""async ([module, given]) => {{
          const all = await import(new URL(`static/js/player/${{module}}`, location.href));
          {body}
        }}""",
        [module, list(arguments)],
    )


def fragment(at_s: float, duration_s: float, *, sound: bool = False) -> bytes:
    """A fragment with one picture, as the server makes it."""
    sample = fmp4.Sample(b"picture", round(duration_s * fmp4.VIDEO_TIMESCALE), True)
    runs = [fmp4.TrackRun(fmp4.VIDEO_ID, round(at_s * fmp4.VIDEO_TIMESCALE), [sample])]
    if sound:
        runs.append(fmp4.TrackRun(fmp4.AUDIO_ID, 4800, [fmp4.Sample(b"sound", 1024)] * 3))
    return fmp4.fragment(7, runs)


@pytest.mark.parametrize("sound", [False, True])
def test_reads_when_a_picture_is_due_and_has_it_last(page: Page, sound: bool) -> None:
    before, after = fragment(12.5, 0.04, sound=sound), fragment(12.5, 0.5, sound=sound)
    read = run(
        page,
        "boxes.js",
        """const bytes = new Uint8Array(given[0]);
        all.stretch(bytes, 0.5);
        return [all.videoTime(bytes), [...bytes]];""",
        list(before),
    )
    assert read == [12.5, list(after)]


def test_sound_alone_holds_no_picture(page: Page) -> None:
    alone = fmp4.fragment(1, [fmp4.TrackRun(fmp4.AUDIO_ID, 0, [fmp4.Sample(b"sound", 1024)])])
    assert run(page, "boxes.js", "return all.videoTime(new Uint8Array(given[0]))", list(alone)) is None
    assert run(page, "boxes.js", "return all.videoTime(new Uint8Array(given[0]))", list(alone[:40])) is None


@pytest.mark.parametrize("step", [1, 7, 64, 100_000])
def test_cuts_a_stream_into_fragments_wherever_it_was_split(page: Page, step: int) -> None:
    parts = [fragment(at / 10, 0.1) for at in range(5)]
    cut = run(
        page,
        "boxes.js",
        """const cutter = new all.Cutter();
        const whole = [];
        for (let at = 0; at < given[0].length; at += given[1]) {
          whole.push(...cutter.push(new Uint8Array(given[0].slice(at, at + given[1]))));
        }
        return whole.map(({ init, payload }) => [init, [...payload]]);""",
        list(b"".join(parts)),
        step,
    )
    assert cut == [[False, list(part)] for part in parts]


def test_a_path_that_fails_rests_longer_each_time(page: Page) -> None:
    said = run(
        page,
        "chooser.js",
        """const chooser = new all.Chooser(["best", "next", "last"], 20);
        const said = [chooser.best(0)];
        chooser.failed("best", "broken", 0);
        said.push(chooser.best(1), chooser.better("next", 19), chooser.better("next", 20), chooser.why("best"));
        chooser.failed("best", "again", 20);
        said.push(chooser.better("next", 79), chooser.better("next", 80));
        for (const name of ["next", "last"]) chooser.failed(name, "too", 21);
        said.push(chooser.best(22), chooser.waitS(22));
        chooser.praise("next");
        said.push(chooser.best(22));
        for (let times = 0; times < 9; times += 1) chooser.failed("last", "", 100);
        chooser.failed("next", "", 100);
        chooser.failed("best", "", 100);
        said.push(chooser.waitS(100 + 299) <= 1);
        chooser.forgive();
        said.push(chooser.best(100));
        return said;""",
    )
    assert said == ["best", "next", None, "best", "broken", None, "best", None, 19, "next", True, "best"]


@pytest.mark.parametrize(("name", "left_s"), [("jpeg", 3.25), ("webrtc", 3.25), ("hls", 8.25)])
def test_a_path_may_stand_still_as_long_as_is_its_way(page: Page, name: str, left_s: float) -> None:
    """HLS gets two seconds at once, so one late segment is no reason to leave it."""
    left = run(
        page,
        "director.js",
        """const { PATHS } = await import(new URL("static/js/player/paths.js", location.href));
        const { Chooser } = await import(new URL("static/js/player/chooser.js", location.href));
        const path = { start() {}, stop() {}, tells: true, wish: {}, follows: [] };
        const usual = globalThis.setInterval;
        let nowMs = 0;
        let tick;
        performance.now = () => nowMs;
        globalThis.setInterval = (act) => { tick = act; };
        const director = new all.Director({
          chooser: new Chooser(given, 20), make: () => path, wish: () => ({}), alive: () => true, fps: () => 15,
          changed() {}, patience: PATHS,
        });
        director.start();
        globalThis.setInterval = usual;
        path.onframe();
        while (director.name) { nowMs += 250; tick(); }
        delete performance.now;
        return nowMs / 1000;""",
        name,
    )
    assert left == left_s


@pytest.mark.parametrize("offset", [0, 1, 2**31, 2**32 - 1])
@pytest.mark.parametrize("age_ms", [0, 40, 5_000])
def test_an_rtp_stamp_tells_when_a_picture_was_taken(page: Page, offset: int, age_ms: int) -> None:
    taken_ms = 1_790_000_000_123
    stamp = (rtp.stamp_of(taken_ms * 1_000_000, rtp.VIDEO_HZ) + offset) & 0xFFFFFFFF
    read = run(
        page,
        "webrtc.js",
        """const sdp = `m=audio 9 x\\r\\na=mediaclk:direct=5\\r\\nm=video 9 x\\r\\na=mediaclk:direct=${given[0]}\\r\\n`;
        return all.RtpClock.of(sdp).capturedMs(given[1], given[2]);""",
        offset,
        stamp,
        taken_ms + age_ms,
    )
    assert read == pytest.approx(taken_ms, abs=0.05)


def test_reads_ice_servers_from_links(page: Page) -> None:
    turn = '<turn:b.example?transport=tcp>; rel="ice-server"; username="u"; credential="c"'
    links = f'<stun:a.example>; rel="ice-server", {turn}'
    read = run(page, "webrtc.js", "return all.iceServersOf(given[0])", f'<https://x>; rel="other", {links}')
    assert read == [
        {"urls": "stun:a.example"},
        {"urls": "turn:b.example?transport=tcp", "username": "u", "credential": "c"},
    ]
    assert run(page, "webrtc.js", "return all.iceServersOf(null)") == []


@pytest.mark.parametrize(("peak", "level"), [(32767, 0.95), (3277, 0.62), (0, 0.0)])
def test_loudness_is_even_in_decibels(page: Page, peak: int, level: float) -> None:
    samples = [round(peak * (1 if at % 2 else -1) / 2**0.5) for at in range(1000)]
    assert run(page, "speaker.js", "return all.loudness(given[0])", samples) == pytest.approx(level, abs=0.01)


@pytest.mark.parametrize("context_hz", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("late_s", [0, 0.012])
def test_blocks_of_sound_are_one_sound(page: Page, context_hz: int, late_s: float) -> None:
    """What is heard of a sine in blocks of 20 ms differs from one sine by at most 0.001, at the edges too.

    Where each block is wanted 12 ms after the end of those before it, all are bent by 0.3 %.
    """
    worst = run(
        page,
        "thread.js",
        """const [contextHz, lateS] = given;
        const rateHz = 16_000;
        const context = new OfflineAudioContext(1, contextHz, contextHz);
        const thread = new all.Thread(context, context.destination);
        const hz = 1000;
        for (let block = 0; block < 47; block += 1) {
          const wave = (_, at) => 16384 * Math.sin((2 * Math.PI * hz * (block * 320 + at)) / rateHz);
          const samples = Int16Array.from({ length: 320 }, wave);
          thread.lay({ samples, rateHz, channels: 1 }, block ? thread.endS + lateS : 0.01);
        }
        const heard = (await context.startRendering()).getChannelData(0);
        const turn = (2 * Math.PI * hz * (1 - lateS * 0.25)) / contextHz;
        // Least squares: the sine that it is most like.
        const from = Math.round(0.1 * contextHz);
        const part = heard.slice(from, from + Math.round(0.8 * contextHz));
        let [ss, sc, cc, ys, yc] = [0, 0, 0, 0, 0];
        part.forEach((y, at) => {
          const [s, c] = [Math.sin(turn * at), Math.cos(turn * at)];
          [ss, sc, cc, ys, yc] = [ss + s * s, sc + s * c, cc + c * c, ys + y * s, yc + y * c];
        });
        const [a, b] = [ys * cc - yc * sc, yc * ss - ys * sc].map((sum) => sum / (ss * cc - sc * sc));
        const lacks = part.map((y, at) => Math.abs(y - a * Math.sin(turn * at) - b * Math.cos(turn * at)));
        return [Math.hypot(a, b), Math.max(...lacks)];""",
        context_hz,
        late_s,
    )
    assert worst == [pytest.approx(0.5, rel=0.01), pytest.approx(0, abs=0.001)]


def test_sound_after_a_gap_begins_where_it_should(page: Page) -> None:
    heard = run(
        page,
        "thread.js",
        """const context = new OfflineAudioContext(2, 48_000, 48_000);
        const thread = new all.Thread(context, context.destination);
        const samples = new Int16Array(640).map((_, at) => (at % 2 ? 8192 : 16384));
        for (const atS of [0.1, 0.1, 0.5]) thread.lay({ samples, rateHz: 16_000, channels: 2 }, atS);
        const buffer = await context.startRendering();
        return [0, 1].map((channel) => [0.09, 0.11, 0.13, 0.15, 0.49, 0.51, 0.53].map(
          (atS) => buffer.getChannelData(channel)[atS * 48_000].toFixed(2),
        ));""",
    )
    assert heard == [[peak if on else "0.00" for on in (0, 1, 1, 0, 0, 1, 0)] for peak in ("0.50", "0.25")]


def test_no_rate_is_told_before_a_path_has_played_for_a_second(page: Page) -> None:
    """Another path has counted by then already, and at first nothing is known of how quickly."""
    said = run(
        page,
        "rates.js",
        """let nowMs = 10_000;
        performance.now = () => nowMs;
        const path = { frames: 1, bytes: 4000, stats: () => ({ frames: path.frames, bytes: path.bytes }) };
        const rates = new all.Rates();
        rates.second(null);
        nowMs += 500;
        rates.reset(path);
        const told = [];
        for (let half = 0; half < 4; half += 1) {
          nowMs += 500;
          path.frames += 5;
          path.bytes += 20_000;
          const second = rates.second(path);
          told.push(second && [second.fps, second.bitrateBps]);
        }
        delete performance.now;
        return told;""",
    )
    assert said == [None, [10, 320_000], None, [10, 320_000]]
