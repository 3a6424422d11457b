#!/usr/bin/env python3
"""Stands in for `cloudflared`: takes its options, says what it says, and is the network's edge besides.

    cloudflared.py PLAN.json tunnel --no-autoupdate … --url http://127.0.0.1:PORT

The messages are those of the real program's source (2026.8) and of logs that people have posted. What it does is up to
PLAN.json, written by the test: how it goes, by what name, and where its edge listens, TLS and all. While it runs, it
obeys signals: USR1 loses the connection to Cloudflare, USR2 gets it back. What it was called with goes to a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import ssl
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

DISCLAIMER = (
    "Thank you for trying Cloudflare Tunnel. Doing so, without a Cloudflare account, is a quick way to experiment and "
    "try it out. However, be aware that these account-less Tunnels have no uptime guarantee, are subject to the "
    "Cloudflare Online Services Terms of Use (https://www.cloudflare.com/website-terms/), and Cloudflare reserves the "
    "right to investigate your use of Tunnels for violations of such terms. If you intend to use Tunnels in production "
    "you should use a pre-created named tunnel by following: "
    "https://developers.cloudflare.com/cloudflare-one/connections/connect-apps"
)
PRECHECKS = [
    "COMPONENT        TARGET                      RESULT   DETAILS",
    "DNS Resolution   region1.v2.argotunnel.com   PASS     DNS resolved successfully",
    "QUIC             https://region1.example     PASS     Connected",
]
VALUES = {"--grace-period", "--metrics", "--config", "--url"}
FLAGS = {"--no-autoupdate"}
CLIENT = "203.0.113.7"


def say(level: str, message: str) -> None:
    """A line of its log."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    print(f"{now} {level} {message}", file=sys.stderr, flush=True)


def box(lines: list[str], title: str = "") -> None:
    """Lines in a box, as cliutil.LogTable draws it."""
    width = max(map(len, [*lines, title]))
    edge = "+" + "-" * (width + 4) + "+"
    titled = [f"|  {title.center(width)}  |", edge] if title else []
    for line in [edge, *titled, *(f"|  {line.ljust(width)}  |" for line in lines), edge]:
        say("INF", line)


def options(words: list[str]) -> dict[str, str]:
    """Its options; it ends as the real one does at one it doesn't know."""
    given: dict[str, str] = {}
    if words[:1] != ["tunnel"]:
        sys.exit(f"this stand-in knows `tunnel` only, not {words}")
    rest = iter(words[1:])
    for word in rest:
        if word in VALUES:
            given[word] = next(rest)
        elif word in FLAGS or word == "run":
            given[word] = ""
        else:
            print(f"Incorrect Usage: flag provided but not defined: {word}\n", file=sys.stderr)
            sys.exit(1)
    return given


class Cloudflared:
    """The program, once its options are read."""

    def __init__(self, plan: dict[str, Any], given: dict[str, str]) -> None:
        self.plan = plan
        self.given = given
        self.connections = 0
        self.origin = int((given.get("--url") or plan.get("origin", ":0")).rpartition(":")[2])

    def refuse(self) -> str:
        """Why there will be no tunnel: the last line before it ends."""
        how = self.plan.get("how", "good")
        if how == "no-network":
            return (
                'failed to request quick Tunnel: Post "https://api.trycloudflare.com/tunnel": dial tcp: '
                "lookup api.trycloudflare.com: no such host"
            )
        if how == "busy":
            say(
                "ERR",
                "Error unmarshaling QuickTunnel response: error code: 1015 "
                'error="invalid character \'e\' looking for beginning of value" status_code="429 Too Many Requests"',
            )
            return "failed to unmarshal quick Tunnel: invalid character 'e' looking for beginning of value"
        if how == "bad-token" and "run" in self.given:
            return "Provided Tunnel token is not valid."
        if how == "forgotten":
            say(
                "ERR",
                'Register tunnel error from server side error="Unauthorized: Tunnel not found" connIndex=0 event=0',
            )
            return "Unauthorized: Tunnel not found"
        return ""

    def register(self) -> None:
        self.connections = 1
        say(
            "INF",
            "Registered tunnel connection connIndex=0 connection=bb527b3a-8a27-467b-9fca-84972898be5c event=0 "
            "ip=198.41.192.67 location=ams01 protocol=quic",
        )

    def lose(self) -> None:
        connected, self.connections = self.connections, 0
        if connected and self.plan.get("how") == "wordless":
            return  # the next signal has it say why
        say(
            "ERR", 'Serve tunnel error error="timeout: no recent network activity" connIndex=0 event=0 ip=198.41.192.67'
        )
        say("INF", "Retrying connection in up to 1s connIndex=0 event=0 ip=198.41.192.67")

    async def run(self) -> None:
        """Until a signal ends it."""
        loop = asyncio.get_running_loop()
        over = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, over.set)
        loop.add_signal_handler(signal.SIGUSR1, self.lose)
        loop.add_signal_handler(signal.SIGUSR2, self.register)
        named = "run" in self.given
        if not named:
            say("INF", DISCLAIMER)
            say("INF", "Requesting new quick Tunnel on trycloudflare.com...")
        if words := self.refuse():
            print(words, file=sys.stderr, flush=True)
            sys.exit(1)
        if not named:
            box(
                [
                    "Your quick Tunnel has been created! Visit it at (it may take some time to be reachable):",
                    f"https://{self.plan['name']}",
                ]
            )
        say("ERR", "Configuration file /dev/null was empty")
        say("INF", "Version 2026.8.2 (Checksum 0123)")
        say("INF", "GOOS: linux, GOVersion: go1.26.0, GoArch: amd64")
        say("INF", "Generated Connector ID: 6f5bd919-1c79-4e2a-96db-65962c321200")
        say("INF", "Initial protocol quic")
        host, _, port = self.given["--metrics"].rpartition(":")
        metrics = await asyncio.start_server(self.tell_ready, host, int(port))
        say("INF", f"Starting metrics server on {host}:{metrics.sockets[0].getsockname()[1]}/metrics")
        box(PRECHECKS, "CONNECTIVITY PRE-CHECKS")
        if self.plan.get("how") == "mute":
            say(
                "ERR",
                'Failed to dial a quic connection error="failed to dial to edge with quic: timeout: no recent network '
                'activity" connIndex=0 event=0 ip=198.41.192.67',
            )
            say("INF", "Retrying connection in up to 2s connIndex=0 event=0 ip=198.41.192.67")
        else:
            await self.open_edge()
            self.register()
        await over.wait()
        say("INF", "Initiating graceful shutdown due to signal terminated ...")
        say("INF", "Tunnel server stopped")

    async def tell_ready(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        status = "200 OK" if self.connections else "503 Service Unavailable"
        body = json.dumps({"status": int(status[:3]), "readyConnections": self.connections}).encode()
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        writer.close()

    async def open_edge(self) -> None:
        edge = self.plan.get("edge")
        if edge is None:
            return
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(edge["certificate"], edge["key"])
        await asyncio.start_server(self.serve, "127.0.0.1", edge["port"], ssl=context)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request of somebody on the internet."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *fields = head.rstrip().split("\r\n")
            own = ("cf-", "x-forwarded-", "connection:")
            kept = [each for each in fields if not each.lower().startswith(own)]
            before = next((each[16:].strip() for each in fields if each.lower().startswith("x-forwarded-for:")), "")
            kept += [
                f"Connection: {'upgrade' if 'upgrade:' in head.lower() else 'close'}",
                f"X-Forwarded-For: {before}{', ' if before else ''}{CLIENT}",
                "X-Forwarded-Proto: https",
                f"CF-Connecting-IP: {CLIENT}",
                "CF-Ray: 701ff7ce7840a3af-AMS",
                "Cdn-Loop: cloudflare; loops=1",
            ]
            up, down = await asyncio.open_connection("127.0.0.1", self.origin)
            down.write("\r\n".join([line, *kept, "", ""]).encode("latin-1"))
            there = asyncio.create_task(self.pipe(reader, down, 0))
            await self.pipe(up, writer, int(self.plan.get("hold_bytes", 0)) if "upgrade:" not in head.lower() else 0)
            there.cancel()
            down.close()
        writer.close()

    @staticmethod
    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hold_bytes: int) -> None:
        """Pass bytes on; with ``hold_bytes`` not before there are so many, or no more come."""
        held = b""
        while data := await reader.read(65_536):
            held += data
            if len(held) >= hold_bytes:
                writer.write(held)
                await writer.drain()
                held = b""
        writer.write(held)
        await writer.drain()


def main() -> None:
    """What the test has planned."""
    plan = json.loads(Path(sys.argv[1]).read_text())
    given = options(sys.argv[2:])
    called = {"pid": os.getpid(), "arguments": sys.argv[2:], "environment": dict(os.environ)}
    with Path(plan["calls"]).open("a") as calls:
        calls.write(json.dumps(called) + "\n")
    asyncio.run(Cloudflared(plan, given).run())


if __name__ == "__main__":
    main()
