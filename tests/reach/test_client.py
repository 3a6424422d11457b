"""Who is asking, as told by the socket and by proxies that are trusted, or not."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from pydantic import ValidationError

from framecast.service.config.sections import ServerSettings
from framecast.service.front.client import Client, Proxies, gives_itself_away

PROXY = "127.0.0.1"
PROXIES = Proxies(["127.0.0.0/8", "::1", "10.0.0.0/8"])


def headers(*pairs: tuple[str, str]) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict([("Host", "inner:8080"), *pairs]))


def client(*pairs: tuple[str, str], peer: str = PROXY, path: str = "/", proxies: Proxies = PROXIES) -> Client:
    return proxies.client(peer, headers(*pairs), path, secure=False)


def address(*values: str, peer: str = PROXY) -> str:
    return client(*(("X-Forwarded-For", value) for value in values), peer=peer).address


def test_without_proxies_the_socket_alone_counts() -> None:
    told = client(
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Prefix", "/evil"),
        proxies=Proxies(),
    )
    assert told == Client(PROXY, "inner:8080", False, "", False, PROXY)


def test_a_stranger_that_calls_itself_a_proxy_is_not_believed() -> None:
    assert address("127.0.0.1", peer="203.0.113.9") == "203.0.113.9"
    assert not client(("X-Forwarded-Proto", "https"), peer="203.0.113.9").secure


def test_a_trusted_proxy_tells_the_address() -> None:
    assert address("203.0.113.9") == "203.0.113.9"
    assert address("203.0.113.9:51234") == "203.0.113.9"
    assert address("[2001:db8::7]:51234") == "2001:db8::7"
    assert address("2001:DB8:0::7") == "2001:db8::7"
    assert address("::ffff:203.0.113.9") == "203.0.113.9"
    assert address("203.0.113.9", peer="::1") == "203.0.113.9"


def test_what_a_client_wrote_itself_stands_left_of_the_truth() -> None:
    assert address("127.0.0.1, 198.51.100.1, 203.0.113.9") == "203.0.113.9"
    assert address("198.51.100.1", "203.0.113.9") == "203.0.113.9", "a proxy may add a line of its own"
    assert address("198.51.100.1, 203.0.113.9, 10.0.0.3") == "203.0.113.9", "past a proxy that is trusted, too"


@pytest.mark.parametrize("junk", ["unknown", "_hidden", "", "203.0.113.9.9", "a" * 4000, "<script>", "1.2.3.4 5.6.7.8"])
def test_what_is_no_address_ends_the_search(junk: str) -> None:
    assert address(f"203.0.113.9, {junk}") == PROXY
    assert address(f"{junk}, 10.0.0.3") == "10.0.0.3"


def test_everybody_may_be_behind_trusted_addresses() -> None:
    assert address("10.0.0.9, 10.0.0.3") == "10.0.0.9"
    assert address() == PROXY


def test_scheme_host_and_prefix() -> None:
    told = client(
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "cams.example:8443"),
        ("X-Forwarded-Prefix", "/home/cams/"),
    )
    assert (told.secure, told.host, told.prefix, told.forwarded) == (True, "cams.example:8443", "/home/cams", True)
    assert told.origin == "https://cams.example:8443"
    assert told.path("/api/v1/x") == "/home/cams/api/v1/x"
    assert told.url("/setup") == "https://cams.example:8443/home/cams/setup"


def test_with_several_proxies_the_one_that_saw_the_client_counts() -> None:
    told = client(
        ("X-Forwarded-For", "198.51.100.66, 203.0.113.9, 10.0.0.3"),
        ("X-Forwarded-Proto", "http, https, http"),
    )
    assert told.address == "203.0.113.9"
    assert told.secure
    spoofed = client(("X-Forwarded-For", "1.1.1.1, 203.0.113.9"), ("X-Forwarded-Proto", "https, http"))
    assert not spoofed.secure, "what the client wrote itself stands on the left here, too"


@pytest.mark.parametrize(
    "prefix", ["//evil.example", "/a/../b", "/a\tb", "cams", "/a b", "/%2e%2e", "/a;b", "/" + "a" * 300, '/"><', "/./a"]
)
def test_a_prefix_that_is_no_path_is_passed_over(prefix: str) -> None:
    assert client(("X-Forwarded-Prefix", prefix)).prefix == ""


@pytest.mark.parametrize("host", ["evil.example/path", "a@b", "a b", "", "<x>", "host:999999", "[::1"])
def test_a_host_that_is_no_name_is_passed_over(host: str) -> None:
    assert client(("X-Forwarded-Host", host)).host == "inner:8080"


def test_base_path_holds_where_the_proxy_says_nothing() -> None:
    proxies = Proxies([PROXY], "/cams")
    assert client(("X-Forwarded-For", "203.0.113.9"), proxies=proxies).prefix == "/cams"
    assert client(proxies=proxies).prefix == "", "a program beside the proxy, which sees us at the top"
    assert client(("X-Forwarded-Prefix", "/other"), proxies=proxies).prefix == "/other"
    assert client(peer="192.168.1.5", proxies=proxies).prefix == "", "who comes past the proxy sees us at the top"


def test_base_path_is_taken_off_where_the_proxy_left_it() -> None:
    proxies = Proxies([], "/cams")
    assert proxies.ours("/cams/api/v1/cameras") == "/api/v1/cameras"
    assert proxies.ours("/cams/") == "/"
    assert [proxies.ours(path) for path in ("/camsite/x", "/api", "/cams")] == ["/camsite/x", "/api", "/cams"]
    assert client(path="/cams/", proxies=proxies).prefix == "/cams"
    assert client(path="/", proxies=proxies).prefix == ""


def test_cookies_below_a_prefix_are_their_own() -> None:
    assert (Client("a").cookie, Client("a").cookie_path) == ("framecast_session", "/")
    assert Client("a", secure=True).cookie == "__Host-framecast_session"
    below = Client("a", secure=True, prefix="/cams")
    assert (below.cookie, below.cookie_path) == ("__Secure-framecast_session", "/cams/")


@pytest.mark.parametrize("name", ["X-Forwarded-For", "x-forwarded-host", "Forwarded", "CF-Connecting-IP", "via"])
def test_a_proxy_gives_itself_away(name: str) -> None:
    assert gives_itself_away(headers((name, "x"))).lower() == name.lower()


def test_a_browser_that_closes_its_connection_is_none() -> None:
    assert gives_itself_away(headers(("Connection", "close"), ("User-Agent", "Mozilla/5.0 (X11)")))
    assert not gives_itself_away(headers(("Connection", "keep-alive"), ("User-Agent", "Mozilla/5.0 (X11)")))
    assert not gives_itself_away(headers(("Connection", "close"), ("User-Agent", "MPlayer/1.5")))


def test_a_bare_proxy_pass_is_known_by_its_first_lines() -> None:
    of_nginx = ((b"Host", b"127.0.0.1:8080"), (b"Connection", b"close"), (b"Accept", b"*/*"))
    told = headers(("Connection", "close"), ("Accept", "*/*"))
    assert gives_itself_away(told, of_nginx, old=True)
    assert not gives_itself_away(told, of_nginx, old=False), "as some programs do"
    assert not gives_itself_away(told, (of_nginx[0], of_nginx[2], of_nginx[1]), old=True)


def test_a_browser_does_not() -> None:
    assert not gives_itself_away(headers(("Accept", "*/*"), ("Sec-Fetch-Dest", "image"), ("Origin", "null")))


def test_settings_name_networks_and_paths() -> None:
    found = ServerSettings(trusted_proxies=["10.1.2.3/8", "::1"], base_path="/cams/")
    assert found.trusted_proxies == ["10.0.0.0/8", "::1/128"]
    assert found.base_path == "/cams"


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0", "nginx", "10.0.0.0/33"])
def test_settings_refuse_proxies_that_are_none(network: str) -> None:
    with pytest.raises(ValidationError):
        ServerSettings(trusted_proxies=[network])


@pytest.mark.parametrize("path", ["cams", "/api", "/static/x", "/a//b", "/..", "/a b", "/a?b", "/a#b"])
def test_settings_refuse_paths_that_are_none(path: str) -> None:
    with pytest.raises(ValidationError):
        ServerSettings(base_path=path)
