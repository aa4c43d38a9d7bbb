"""Compressed bodies of requests: each encoding is undone within bounds, and what cannot be undone is named."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable

import brotli
import pytest

from tidegate.rules.language.body import read_body
from tidegate.rules.language.compressed import unpack

try:
    from compression import zstd
except ImportError:
    from backports import zstd

BODY = b'{"id":"7","amount":10.50}'
BIG = "more than 1048576 bytes when unpacked"
EMPTY_FRAME = zstd.compress(b"")


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(BODY)),
        ("br", brotli.compress(BODY)),
        ("BR", brotli.compress(BODY)),
        ("zstd", zstd.compress(BODY)),
        ("zstd", zstd.compress(BODY[:9]) + zstd.compress(BODY[9:])),
        ("gzip, br", brotli.compress(gzip.compress(BODY))),
        ("identity, zstd", zstd.compress(BODY)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_body_is_read_in_each_encoding(encoding: str, body: bytes) -> None:
    assert unpack(body, encoding) == BODY
    parsed = read_body(body, "application/json", encoding)
    assert (parsed.value, parsed.why, parsed.as_written) == ({"id": "7", "amount": 10.5}, "", False)


@pytest.mark.parametrize(
    ("encoding", "body", "why"),
    [
        ("br", BODY, "the body is labeled br and is not"),
        ("zstd", BODY, "the body is labeled zstd and is not"),
        ("br", brotli.compress(BODY)[:-3], "the body is br and is cut off"),
        ("zstd", zstd.compress(BODY)[:-3], "the body is zstd and is cut off"),
        ("lz4", BODY, "the body is lz4, which is not unpacked here: only gzip, deflate, br and zstd are"),
        ("gzip, br, zstd", BODY, "the body is 'gzip, br, zstd', which is not unpacked here: only gzip"),
        ("br", lambda: brotli.compress(b" " * (17 << 20)), f"the body is br and has {BIG}"),
        ("zstd", lambda: zstd.compress(b" " * (17 << 20)), f"the body is zstd and has {BIG}"),
        ("gzip, zstd", lambda: zstd.compress(gzip.compress(b" " * (17 << 20))), BIG),
        ("zstd", EMPTY_FRAME * 100_000, "the body is zstd and has more than 1000 parts"),
        ("gzip, zstd", lambda: zstd.compress(gzip.compress(b"") * 100_000), "has more than 1000 parts"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_unpacked_is_named_and_costs_little(
    encoding: str, body: bytes | Callable[[], bytes], why: str
) -> None:
    body = body if isinstance(body, bytes) else body()
    began = time.thread_time()
    parsed = read_body(body, "application/json", encoding)
    assert time.thread_time() - began < 0.15
    assert parsed.value is None
    assert why in parsed.why


def test_a_zstd_body_cannot_ask_for_more_memory_than_the_standard_allows() -> None:
    wide = zstd.compress(b"x" * (1 << 20), options={zstd.CompressionParameter.window_log: 27})
    stream = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    unsized = stream.compress(b"x" * 100) + stream.flush()
    assert unpack(unsized, "zstd") == "the body is labeled zstd and is not"
    assert isinstance(unpack(wide, "zstd"), bytes), "its size is known, so it needs no window of that size"
