"""What is read from the log of `cloudflared`, of this year's versions and of older ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.service.tunnel.cloudlog import Said, read

NOW = "2026-08-20T09:00:03Z "


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            NOW + "INF |  https://four-words-of-chance.trycloudflare.com                                     |",
            Said("url", "https://four-words-of-chance.trycloudflare.com"),
        ),
        (
            NOW + "INF |  Your quick Tunnel has been created! Visit it at (it may take some time to be reachable):  |",
            None,
        ),
        (
            NOW + f"INF |  https://{'quiet-word.' * 22}example.com  |",
            Said("url", f"https://{'quiet-word.' * 22}example.com"),
        ),
        (NOW + f"INF |  https://{'quiet-word.' * 23}example.com  |", None),  # no name is so long
        (NOW + f"INF |  https://{'quiet-word' * 7}.example.com  |", None),
        (NOW + "INF +--------------------+", None),
        (NOW + "INF Thank you for trying … Terms of Use (https://www.cloudflare.com/website-terms/), and …", None),
        (NOW + "INF |  QUIC             https://region1.example     PASS     Connected        |", None),
        (NOW + "INF Starting metrics server on 127.0.0.1:20241/metrics", Said("metrics", "127.0.0.1 20241")),
        (NOW + "INF Starting metrics server on [::1]:20241/metrics", Said("metrics", "::1 20241")),
        (NOW + "INF Starting metrics server on 192.0.2.1:20241/metrics", None),
        (
            NOW
            + "INF Registered tunnel connection connIndex=2 connection=bb527b3a-8a27-467b-9fca-84972898be5c event=0 "
            "ip=2606:4700:a8::1 location=del04 protocol=quic",
            Said("connected", index=2),
        ),
        (
            NOW + "INF Connection c206cf44-945f-4c3c-a85c-af60c6338dc2 registered connIndex=1 location=EWR",
            Said("connected", index=1),
        ),
        (
            NOW
            + 'ERR Serve tunnel error error="timeout: no recent network activity" connIndex=0 event=0 ip=198.41.1.2',
            Said("lost", "Serve tunnel error: timeout: no recent network activity"),
        ),
        (NOW + "INF Retrying connection in up to 1m4s connIndex=3 event=0 ip=198.41.200.33", Said("lost", index=3)),
        (NOW + "INF Lost connection with the edge connIndex=1", Said("lost", index=1)),
        (NOW + "INF Unregistered tunnel connection connIndex=0 event=0 ip=198.41.192.67", Said("lost")),
        (
            NOW + 'ERR Failed to dial a quic connection error="failed to dial to edge with quic: timeout: no recent '
            'network activity" connIndex=0 event=0 ip=198.41.200.33',
            Said(
                "lost",
                "Failed to dial a quic connection: failed to dial to edge with quic: timeout: no recent network "
                "activity",
            ),
        ),
        (
            NOW
            + 'ERR  error="Unable to reach the origin service. The service may be down: EOF" cfRay=701ff7ce7840a3af '
            "ingressRule=0 originService=http://localhost:8080",
            Said("trouble", "Unable to reach the origin service. The service may be down: EOF"),
        ),
        (NOW + "ERR Configuration file /dev/null was empty", None),
        (NOW + "INF Initial protocol quic", None),
        ("", None),
        (
            'failed to request quick Tunnel: Post "https://api.trycloudflare.com/tunnel": dial tcp: lookup '
            "api.trycloudflare.com: no such host",
            Said(
                "trouble",
                'failed to request quick Tunnel: Post "https://api.trycloudflare.com/tunnel": dial tcp: lookup '
                "api.trycloudflare.com: no such host",
            ),
        ),
        (
            "\x1b[90m2026-08-20T09:00:03Z\x1b[0m \x1b[32mINF\x1b[0m Registered tunnel connection "
            "\x1b[36mconnIndex=\x1b[0m0",
            Said("connected"),
        ),
    ],
)
def test_a_line(line: str, said: Said | None) -> None:
    assert read(line) == said


@given(st.text(max_size=400))
def test_any_line_is_survived(text: str) -> None:
    for line in (text, NOW + "INF " + text, NOW + "ERR " + text):
        said = read(line)
        assert said is None or len(said.text) <= 300


def test_a_line_of_any_length_costs_little() -> None:
    for line in ("|" * 1_000_000, NOW + "ERR " + 'error="' + "\\" * 1_000_000, NOW + "INF |" + " " * 1_000_000 + "|"):
        read(line)
