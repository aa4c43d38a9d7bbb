"""The table of addresses that are never called by default, the allow list, and the strict reading of URLs."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.errors import ConfigError
from tidegate.rules.outbound.addresses import AllowList, blocked_reason, parse_allow, parse_target

NONE = AllowList()
NOBODY: frozenset[tuple[str, int]] = frozenset()
EVERYTHING = parse_allow(["0.0.0.0/0", "::/0"])

REFUSED = [
    ("0.0.0.0", "unspecified"),
    ("0.1.2.3", "unspecified"),
    ("10.0.0.1", "private"),
    ("10.255.255.255", "private"),
    ("100.64.0.1", "shared"),
    ("100.127.255.255", "shared"),
    ("127.0.0.1", "loopback"),
    ("127.255.255.254", "loopback"),
    ("169.254.1.1", "link_local"),
    ("169.254.169.254", "metadata"),
    ("169.254.170.2", "metadata"),
    ("100.100.100.200", "metadata"),
    ("168.63.129.16", "metadata"),
    ("192.0.0.192", "metadata"),
    ("172.16.0.1", "private"),
    ("172.31.255.255", "private"),
    ("192.0.0.8", "reserved"),
    ("192.0.2.1", "documentation"),
    ("192.88.99.1", "reserved"),
    ("192.168.0.1", "private"),
    ("198.18.0.1", "reserved"),
    ("198.19.255.255", "reserved"),
    ("198.51.100.7", "documentation"),
    ("203.0.113.7", "documentation"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.255", "multicast"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.255", "reserved"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("::2", "reserved"),
    ("::127.0.0.1", "reserved"),  # v4-compatible, long given up
    ("::ffff:127.0.0.1", "loopback"),
    ("::ffff:7f00:1", "loopback"),
    ("::ffff:10.0.0.1", "private"),
    ("::ffff:169.254.169.254", "metadata"),
    ("::ffff:0:127.0.0.1", "reserved"),  # v4-translated
    ("64:ff9b::127.0.0.1", "loopback"),
    ("64:ff9b::10.1.1.1", "private"),
    ("64:ff9b::169.254.169.254", "metadata"),
    ("64:ff9b:1::1", "private"),
    ("100::1", "reserved"),
    ("2001::1", "private"),  # Teredo by zeros; the client is the inverted tail
    ("2001:0:808:808:0:0:80ff:fffe", "loopback"),
    ("2001:2::1", "reserved"),
    ("2001:db8::1", "documentation"),
    ("2002:7f00:1::", "loopback"),
    ("2002:a00:1::1", "private"),
    ("2002:a9fe:a9fe::", "metadata"),
    ("3fff::1", "documentation"),
    ("4000::1", "reserved"),
    ("5f00::1", "reserved"),
    ("fc00::1", "private"),
    ("fd12:3456::1", "private"),
    ("fd00:ec2::254", "metadata"),
    ("fd20:ce::254", "metadata"),
    ("fe80::1", "link_local"),
    ("fe80::1%eth0", "link_local"),
    ("2606:4700::1%1", "link_local"),
    ("fe80::a9fe:a9fe", "metadata"),
    ("fec0::1", "private"),
    ("ff02::1", "multicast"),
    ("2130706433", "not_an_address"),
    ("0x7f.0.0.1", "not_an_address"),
    ("0177.0.0.1", "not_an_address"),
    ("127.1", "not_an_address"),
    ("127.0.0.1.", "not_an_address"),
    ("1.1.1.1 ", "not_an_address"),
    ("", "not_an_address"),
    ("localhost", "not_an_address"),
    ("[::1]", "not_an_address"),
]
PASSED = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1",
    "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
    "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1",
]  # fmt: skip


@pytest.mark.parametrize(("ip", "word"), REFUSED)
def test_an_address_outside_the_public_internet_is_blocked_with_its_reason(ip: str, word: str) -> None:
    if ip == "2001::1":  # both inner addresses are refused; either word is right
        assert blocked_reason(ip, 443, NONE, NOBODY) in ("unspecified", "reserved")
    else:
        assert blocked_reason(ip, 443, NONE, NOBODY) == word


@pytest.mark.parametrize("ip", PASSED)
def test_a_public_address_passes(ip: str) -> None:
    assert blocked_reason(ip, 443, NONE, NOBODY) is None


@pytest.mark.parametrize("ip", [ip for ip, word in REFUSED if word == "metadata"])
def test_metadata_is_refused_even_when_everything_is_allowed(ip: str) -> None:
    assert blocked_reason(ip, 80, EVERYTHING, NOBODY) == "metadata"


@given(st.integers(0, 2**32 - 1))
def test_what_python_calls_not_global_never_passes(number: int) -> None:
    """Our table may be stricter than the standard library's, never looser."""
    address = ipaddress.IPv4Address(number)
    if not address.is_global:
        assert blocked_reason(str(address), 80, NONE, NOBODY) is not None


@given(st.integers(0, 2**128 - 1))
def test_what_python_calls_not_global_never_passes_in_version_six(number: int) -> None:
    address = ipaddress.IPv6Address(number)
    if not address.is_global and address.sixtofour is None and address.ipv4_mapped is None:
        assert blocked_reason(str(address), 80, NONE, NOBODY) is not None


@given(st.integers(0, 2**32 - 1))
def test_an_inner_address_is_checked_like_the_address_alone(number: int) -> None:
    inner = str(ipaddress.IPv4Address(number))
    alone = blocked_reason(inner, 80, NONE, NOBODY)
    for outer in (0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80):
        assert blocked_reason(str(ipaddress.IPv6Address(outer)), 80, NONE, NOBODY) == alone


def test_allowed_networks_and_ports_pass_and_nothing_beside_them() -> None:
    allow = parse_allow(["127.0.0.1/32", "10.0.0.0/8:443", "[::1]/128:80", "fd00::/16", "192.168.1.7", "[fe80::1]"])
    assert blocked_reason("127.0.0.1", 1, allow, NOBODY) is None
    assert blocked_reason("::ffff:127.0.0.1", 1, allow, NOBODY) is None
    assert blocked_reason("127.0.0.2", 1, allow, NOBODY) == "loopback"
    assert blocked_reason("10.9.9.9", 443, allow, NOBODY) is None
    assert blocked_reason("10.9.9.9", 80, allow, NOBODY) == "private"
    assert blocked_reason("::1", 80, allow, NOBODY) is None
    assert blocked_reason("::1", 81, allow, NOBODY) == "loopback"
    assert blocked_reason("fd00::5", 9, allow, NOBODY) is None
    assert blocked_reason("fd01::5", 9, allow, NOBODY) == "private"
    assert blocked_reason("192.168.1.7", 9, allow, NOBODY) is None
    assert blocked_reason("192.168.1.8", 9, allow, NOBODY) == "private"
    assert blocked_reason("64:ff9b::127.0.0.1", 1, allow, NOBODY) == "loopback"  # not named by the entry


def test_our_own_listener_is_refused_though_allowed() -> None:
    own = frozenset({("127.0.0.1", 8420)})
    allow = parse_allow(["127.0.0.0/8", "0.0.0.0/8", "::/0"])
    assert blocked_reason("127.0.0.1", 8420, allow, own) == "own_listener"
    assert blocked_reason("::ffff:127.0.0.1", 8420, allow, own) == "own_listener"
    assert blocked_reason("0.0.0.0", 8420, allow, own) == "own_listener"  # leads to loopback
    assert blocked_reason("::", 8420, allow, own) == "own_listener"
    assert blocked_reason("127.0.0.1", 8421, allow, own) is None
    assert blocked_reason("127.0.0.2", 8420, allow, own) is None


@pytest.mark.parametrize("wildcard", ["0.0.0.0", "::"])
def test_a_wildcard_listener_is_every_loopback_address(wildcard: str) -> None:
    own = frozenset({(wildcard, 8420)})
    for ip in ("127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::ffff:127.0.0.1"):
        assert blocked_reason(ip, 8420, EVERYTHING, own) == "own_listener"
    assert blocked_reason("10.0.0.1", 8420, EVERYTHING, own) is None


@pytest.mark.parametrize(
    "item",
    [
        "", "localhost", "10.0.0.0/8:", "10.0.0.0/8:0", "10.0.0.0/8:65536", "10.0.0.0/8:http", "10.0.0.1/8",
        "10.0.0.0/33", "[10.0.0.0]/8", "[::1", "::1]:80", "[::1]/129", "fd00::1/8", "fe80::1%eth0", "10.0.0.0/8 ",
        "*", "0x7f.0.0.1", "169.254.169.254", "169.254.169.254/32:80", "[fd00:ec2::254]", "::ffff:169.254.169.254",
        "10.0.0.0/8:+80",
    ],
)  # fmt: skip
def test_an_allow_entry_that_cannot_be_meant_is_refused_with_its_place(item: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_allow(["127.0.0.1/32", item])
    assert caught.value.path == "$.egress.allow[1]"
    assert caught.value.hint


TARGETS = [
    ("http://example.com", "http://example.com:80", "/", "example.com"),
    ("HTTPS://EXAMPLE.com/A/b?x=1&y=%20", "https://example.com:443", "/A/b?x=1&y=%20", "example.com"),
    ("http://example.com:8080/", "http://example.com:8080", "/", "example.com:8080"),
    ("https://example.com:443/", "https://example.com:443", "/", "example.com"),
    ("http://example.com?q", "http://example.com:80", "/?q", "example.com"),
    ("http://example.com./x", "http://example.com:80", "/x", "example.com"),
    ("http://my_service/x", "http://my_service:80", "/x", "my_service"),
    ("http://localhost:1/", "http://localhost:1", "/", "localhost:1"),
    ("http://127.0.0.1:9/", "http://127.0.0.1:9", "/", "127.0.0.1:9"),
    ("http://[::1]:9/", "http://[::1]:9", "/", "[::1]:9"),
    ("http://[2001:DB8:0:0::1]/", "http://[2001:db8::1]:80", "/", "[2001:db8::1]"),
    (
        "http://bücher.example/ä?ö={x}",
        "http://xn--bcher-kva.example:80",
        "/%C3%A4?%C3%B6=%7Bx%7D",
        "xn--bcher-kva.example",
    ),
    ("http://faß.de/", "http://xn--fa-hia.de:80", "/", "xn--fa-hia.de"),
    ("http://\uff11\uff12\uff17.0.0.1/", "http://127.0.0.1:80", "/", "127.0.0.1"),  # full-width digits are digits
    ("http://ex。com/", "http://ex.com:80", "/", "ex.com"),
]


@pytest.mark.parametrize(("url", "origin", "path", "host_header"), TARGETS)
def test_a_url_is_read_into_what_is_sent(url: str, origin: str, path: str, host_header: str) -> None:
    target = parse_target(url)
    assert (target.origin, target.path, target.host_header) == (origin, path, host_header)
    assert target.request_tail == f" {path} HTTP/1.1\r\nhost: {host_header}\r\n".encode()


BAD_TARGETS = [
    "", "example.com", "//example.com", "/x", "ftp://example.com", "file:///etc/passwd", "gopher://x",
    "javascript:alert(1)", "http://", "http:///x", "http://:80/", "http://?x", "http://example.com:",
    "http://example.com:0", "http://h:65536", "http://h:99999999", "http://h:80:80", "http://h:+80",
    "http://h:\uff18\uff10/", "http://user@example.com", "http://a:b@h/", "http://@example.com/",
    "http://example.com#f", "http://example.com/#", "http://exa mple.com", "http://example.com/a b",
    "http://example.com/\r\nx: y", "http://example.com/\x00", "http://example.com\\@evil.com",
    "http://example.com/\\x", "http://2130706433/", "http://0x7f000001/", "http://0x7f.0.0.1/", "http://0177.0.0.1/",
    "http://127.1/", "http://0/", "http://127.0.0.01/", "http://1.2.3.4.5/", "http://256.1.1.1/", "http://a.1/",
    "http://a.0x1/", "http://\uff11\uff12\uff17.1/", "http://[::1/", "http://::1/", "http://[::1%25eth0]/",
    "http://[fe80::1%eth0]/", "http://[127.0.0.1]/", "http://[v1.x]/", "http://[]/", "http://[::1]x/",
    "http://a..b/", "http://.a/", "http://-a/", "http://a-/", "http://a%2eb/", "http://a*b/",
    "http://" + "a" * 64 + "/", "http://" + "a." * 130 + "b/", "http://a;b/", "http://a,b/", "http://\ud800/",
    "http://h/\udfff", "http://xn--\u00fc/", "http://\u200b/", "http://\uff0e/", "http://..", "http://a\u2028b/",
]  # fmt: skip


@pytest.mark.parametrize("url", BAD_TARGETS)
def test_a_url_in_an_odd_form_is_refused(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_target(url)
    assert caught.value.code == "url_invalid"


@pytest.mark.parametrize(
    "url", ["https://joe:s3cret@h/", "https://h:x/s3cret", "https://h/s3cret#", "s3cret", "h s3cret"]
)
def test_a_refused_url_does_not_show_its_secrets(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_target(url)
    assert "s3cret" not in caught.value.message + caught.value.hint


@given(st.text())
def test_any_text_is_a_target_or_an_error_and_never_two_lines(text: str) -> None:
    for url in (text, "http://" + text, "http://h/" + text):
        try:
            target = parse_target(url)
        except ConfigError:
            continue
        assert target.request_tail.count(b"\r\n") == 2
        assert b" " not in target.request_tail.split(b"\r\n")[0].strip().removesuffix(b" HTTP/1.1")
