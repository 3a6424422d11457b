"""Look at a camera for a few seconds: is it there, what does it speak, how well, and what is wrong with it.

The same client, parsers and checks as the real reader, so that what is found here is what will happen there. Where
the address given has no pictures, the usual places of the same device are tried.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from framecast.core.errors import BadStatus, ConfigError, DeviceError, Misuse
from framecast.core.source import Source
from framecast.ingest.diagnosis import Problem, diagnose, explain, explain_error, sort
from framecast.ingest.http_client import CheckAddress, Client, Options, Response
from framecast.ingest.http_connection import ConnectFailed
from framecast.ingest.http_pull import consume, judge
from framecast.ingest.probefeed import ProbeFeed
from framecast.ingest.recognise import PAGE_TYPES, PICTURE_TYPES, candidates
from framecast.ingest.target import Target

SECONDS = 3.0
"""How long pictures are watched."""

FIRST_S = 6.0
"""How long the first picture may take: a sensor that was asleep needs some seconds."""

STILL_INTERVAL_S = 0.5
QUICK = Options(connect_timeout_s=3.0, head_timeout_s=5.0)

SLOW_FPS = 3.0

StepName = Literal["resolve", "connect", "request", "stream", "frames", "done"]

_ONE_HOST = ("dns", "no_route")


@dataclass(frozen=True, slots=True)
class Step:
    """Something that was done, or failed.

    Attributes:
        step: Which.
        text: In words.
        ok: Whether it worked.
    """

    step: str
    text: str
    ok: bool = True

    def to_json(self) -> dict[str, Any]:
        """As the API streams it."""
        return {"step": self.step, "text": self.text, "ok": self.ok}


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What was found.

    Attributes:
        ok: There are pictures.
        url: Where they are, without user and password.
        dialect: What the device speaks.
        kind: ``pull``, ``still``, or the scheme of another kind of camera; empty without pictures.
        width: Pixels.
        height: Pixels.
        fps: Pictures a second.
        jitter_ms: Mean deviation of the gaps between pictures from their median.
        bytes_per_frame: Mean size of a picture.
        frames: Good pictures seen.
        problems: The worst first.
        candidates: Places of this device that have pictures.
        preview: The latest picture.
    """

    ok: bool
    url: str
    dialect: str = ""
    kind: str = ""
    width: int = 0
    height: int = 0
    fps: float = 0.0
    jitter_ms: float = 0.0
    bytes_per_frame: int = 0
    frames: int = 0
    problems: list[Problem] = field(default_factory=list)
    candidates: list[str] = field(default_factory=list)
    preview: bytes | None = None

    def to_json(self) -> dict[str, Any]:
        """As the API gives it; the preview as base64."""
        return {
            "ok": self.ok,
            "url": self.url,
            "dialect": self.dialect,
            "kind": self.kind,
            "width": self.width,
            "height": self.height,
            "fps": round(self.fps, 2),
            "jitter_ms": round(self.jitter_ms, 1),
            "bytes_per_frame": self.bytes_per_frame,
            "frames": self.frames,
            "problems": [problem.to_json() for problem in self.problems],
            "candidates": self.candidates,
            "preview": base64.b64encode(self.preview).decode() if self.preview else None,
        }


OnStep = Callable[[Step], None]
OpenSource = Callable[[str], Source]


async def probe(
    url: str,
    *,
    seconds: float = SECONDS,
    user: str = "",
    password: str = "",
    options: Options | None = None,
    check_address: CheckAddress | None = None,
    open_source: OpenSource | None = None,
    on_step: OnStep | None = None,
) -> ProbeResult:
    """Look at a camera. Cancel-safe; never raises because of the camera or of the URL.

    Args:
        url: A URL or a bare address.
        seconds: How long to watch pictures.
        user: Instead of the URL's; of an RTSP URL, where it names nobody.
        password: Belongs to ``user``.
        options: How to connect.
        check_address: May forbid an address (raises Misuse).
        open_source: Opens cameras that are not http(s); without it they can't be probed.
        on_step: Told what happens as it happens.
    """
    options = options or QUICK
    if check_address is not None:
        options = replace(options, check_address=check_address)
    return await _Probe(seconds, options, open_source, on_step or _unheard).look(url, user, password)


class _Probe:
    def __init__(self, seconds: float, options: Options, open_source: OpenSource | None, on_step: OnStep) -> None:
        self._seconds = seconds
        self._options = options
        self._open_source = open_source
        self._on_step = on_step
        self._problems: list[Problem] = []
        self._live = True

    async def look(self, url: str, user: str, password: str) -> ProbeResult:
        scheme, colon, _ = url.strip().partition(":")
        if colon and scheme.lower() not in ("http", "https") and not _is_address(url):
            return await self._look_elsewhere(url.strip(), scheme.lower(), user, password)
        try:
            target = Target.parse(url)
        except Misuse as error:
            return self._failed(url, explain("bad_url", title=str(error)))
        if user:
            target = replace(target, user=user, password=password)
        client = Client(self._options, self._hear)
        try:
            response = await self._search(client, target)
            if response is None:
                return self._failed(target.url)
            return await self._watch_http(client, response)
        finally:
            client.close()

    # Finding it

    async def _search(self, client: Client, target: Target) -> Response | None:
        """The answer that has pictures: the place asked for, or one of the usual ones."""
        tried: list[str] = []
        closed: set[int] = set()
        best: Problem | None = None
        places = candidates(target)
        if target.path:
            places = [target, *(place for place in places if place.url != target.url)]
        for place in places:
            if place.port in closed:
                continue
            tried.append(place.shown)
            outcome = await self._try(client, place)
            if isinstance(outcome, Response):
                if best is not None and target.path:
                    # The address that was given doesn't work, another does: worth a word, and no error.
                    found = f"{best.title}. Its pictures are at {place.shown}"
                    self._problems.append(replace(best, severity="warning", title=found, advice="Use that address."))
                elif outcome.target.origin != place.origin:
                    self._problems.append(explain("redirected", title=f"The camera leads to {outcome.target.shown}"))
                return outcome
            problem, stop, port_closed = outcome
            if port_closed:
                closed.add(place.port)
            if best is None or (not target.path and _rank(problem) > _rank(best)):
                best = problem
            if stop:
                break
        assert best is not None
        if len(tried) > 1 and best.code in ("not_found", "no_stream", "web_page"):
            best = replace(best, advice=f"{best.advice} Tried without success: {', '.join(tried)}.")
        self._problems.append(best)
        return None

    async def _try(self, client: Client, place: Target) -> Response | tuple[Problem, bool, bool]:
        """An answer with pictures; else the problem, whether to stop searching, and whether the port is no use."""
        try:
            response = await client.get(place)
        except ConnectFailed as error:
            self._say("resolve" if error.reason == "dns" else "connect", str(error), ok=False)
            return explain_error(error), error.reason in _ONE_HOST, True
        except (DeviceError, Misuse) as error:
            self._say("request", str(error), ok=False)
            return explain_error(error), isinstance(error, Misuse), False
        reason = judge(response)
        if reason is None:
            self._say("request", f"{place.shown} answers with {response.media_type or 'bytes of no declared type'}")
            return response
        page = response.media_type in PAGE_TYPES and response.status == 200
        response.close()
        self._say("request", str(reason), ok=False)
        denied = isinstance(reason, BadStatus) and reason.status in (401, 403)
        return explain("web_page", title=str(reason)) if page else explain_error(reason), denied, False

    # Watching it

    async def _watch_http(self, client: Client, response: Response) -> ProbeResult:
        is_still = response.media_type in PICTURE_TYPES
        place = response.target
        self._say("stream", f"{'A picture' if is_still else 'A stream'} at {place.shown}")
        feed = ProbeFeed()
        await self._watch(consume(client, response, feed, interval_s=STILL_INTERVAL_S), feed)
        return self._report(feed, place.url, "still" if is_still else "pull")

    async def _look_elsewhere(self, whole_url: str, scheme: str, user: str, password: str) -> ProbeResult:
        url, login = _without_login(whole_url)
        if user and not login and scheme in ("rtsp", "rtsps"):
            whole_url = url.replace("//", f"//{quote(user, safe='')}:{quote(password, safe='')}@", 1)
        if self._open_source is None:
            return self._failed(url, explain("not_supported"))
        feed = ProbeFeed()
        self._live = scheme != "file"
        try:
            source = self._open_source(whole_url)
        except ConfigError as error:
            # Who typed an address knows no settings.
            return self._failed(url, explain("bad_url", title=f"{error.value!r} can't be used: {error.accepted}"))
        except (DeviceError, Misuse) as error:
            return self._failed(url, explain("bad_url", title=str(error)))
        self._say("connect", f"Opening {scheme}:")
        await self._watch(source.run(feed), feed)
        return self._report(feed, url, scheme)

    async def _watch(self, run: Coroutine[Any, Any, None], feed: ProbeFeed) -> None:
        """Let ``run`` feed until the first picture is `seconds` old."""
        running = asyncio.ensure_future(run)
        first = asyncio.ensure_future(feed.first.wait())
        try:
            await asyncio.wait({running, first}, timeout=FIRST_S, return_when=asyncio.FIRST_COMPLETED)
            if feed.first.is_set():
                self._say("stream", f"Speaks {feed.dialect or 'MJPEG'}")
                await asyncio.wait({running}, timeout=self._seconds)
            ended = running.done()
        finally:
            running.cancel()
            first.cancel()
            await asyncio.gather(running, first, return_exceptions=True)
        error = None if running.cancelled() else running.exception()
        if isinstance(error, DeviceError | Misuse):
            self._problems.append(explain_error(error))
        elif error is not None:
            raise error
        elif ended and self._live:
            self._problems.append(replace(explain("lost"), severity="warning" if feed.frames else "error"))
        feed.finish()

    # Telling it

    def _report(self, feed: ProbeFeed, url: str, kind: str) -> ProbeResult:
        problems = [*self._problems, *diagnose(feed.quirks, feed.faults)]
        header = feed.header
        if not feed.frames or header is None:
            if not any(problem.severity == "error" for problem in problems):
                refused = replace(explain("no_pictures"), advice="Something came and was refused: see below.")
                problems.append(refused if feed.faults else explain("no_pictures"))
            self._say("frames", "No usable picture came", ok=False)
            self._say("done", "The camera gives no pictures", ok=False)
            return ProbeResult(False, url, feed.dialect, problems=sort(problems))
        hung = kind == "pull" and feed.frames == 1 and feed.faults["hang"] > 0
        if hung:
            title = "One picture came, then nothing more, and the connection is still open"
            worse = replace(explain("hang"), severity="error", title=title)
            problems = [worse if problem.code == "hang" else problem for problem in problems]
        if kind == "pull" and 0 < feed.fps < SLOW_FPS:
            problems.append(explain("slow"))
        if feed.uneven:
            problems.append(explain("jitter"))
        size = f"{header.width_px} x {header.height_px}"
        pictures = "1 picture" if feed.frames == 1 else f"{feed.frames} pictures"
        self._say("frames", f"{pictures}, {size}, {feed.fps:.1f} fps, {feed.bytes_per_frame / 1000:.0f} kB each")
        problems = sort(problems)
        serious = sum(problem.severity != "info" for problem in problems)
        if hung:
            self._say("done", "It does not go on after the first picture", ok=False)
        else:
            look = f"; {serious} {'thing' if serious == 1 else 'things'} to look at" if serious else ""
            self._say("done", f"It works{look}")
        return ProbeResult(
            not hung,
            url,
            feed.dialect,
            kind,
            header.width_px,
            header.height_px,
            feed.fps,
            feed.jitter_s * 1000,
            feed.bytes_per_frame,
            feed.frames,
            problems,
            [url],
            feed.preview,
        )

    def _failed(self, url: str, *problems: Problem) -> ProbeResult:
        found = sort([*self._problems, *problems])
        self._say("done", "No pictures", ok=False)
        return ProbeResult(False, url, problems=found)

    def _hear(self, step: str, text: str) -> None:
        """What the client achieves; how a request ended is told once it is judged."""
        if step != "request":
            self._say(step, text)

    def _say(self, step: str, text: str, *, ok: bool = True) -> None:
        self._on_step(Step(step, text, ok))


def _rank(problem: Problem) -> int:
    """How much a failure tells about the camera."""
    if problem.code in ("silent", "busy", "camera_error"):
        return 3
    if problem.code in ("unauthorized", "forbidden"):
        return 4
    return 1 if problem.code in ("connection_refused", "timeout", "lost") else 2


def _without_login(url: str) -> tuple[str, str]:
    """A URL without user and password, and the two as they stand in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.partition(":")[0] + ":", ""
    login, _, host = parts.netloc.rpartition("@")
    return (parts._replace(netloc=host).geturl(), login) if login else (url, "")


def _is_address(url: str) -> bool:
    """Whether ``url`` is ``host:port`` or an IPv6 address rather than a URL with a scheme."""
    before, _, after = url.strip().partition(":")
    return "." in before or before.startswith("[") or after.partition("/")[0].isdigit()


def _unheard(step: Step) -> None:
    """Nobody listens."""
