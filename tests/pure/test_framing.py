"""Chunked bodies: however they are cut into reads, the body and what follows it come out the same, in linear time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.process.edge.framing import FRAMING_BYTES, BadFraming, BodyKind, ChunkedBody, body_of

EXTENSIONS = st.sampled_from([b"", b";a=1", b" ; a", b';q="x"'])
CHUNKS = st.lists(st.tuples(st.binary(min_size=1, max_size=40), EXTENSIONS), max_size=12)
TRAILERS = st.sampled_from([b"", b"a: 1\r\n", b"a: 1\r\nb-c: 2\r\n"])


def encode(chunks: list[tuple[bytes, bytes]], trailers: bytes) -> bytes:
    lines = [b"%x%s\r\n%s\r\n" % (len(data), extension, data) for data, extension in chunks]
    return b"".join(lines) + b"0\r\n" + trailers + b"\r\n"


@given(CHUNKS, TRAILERS, st.integers(1, 30))
def test_a_body_comes_out_whole_however_it_is_cut(
    chunks: list[tuple[bytes, bytes]], trailers: bytes, size: int
) -> None:
    whole = encode(chunks, trailers) + b"GET /next"
    reader, parts, rest, at = ChunkedBody(), [], b"", 0
    while at < len(whole) and not reader.finished:
        found, rest = reader.feed(whole[at : at + size])
        parts += found
        at += size
    assert reader.finished and b"".join(parts) == b"".join(data for data, _ in chunks)
    assert rest + whole[at:] == b"GET /next"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_body_or_are_refused(data: bytes) -> None:
    reader = ChunkedBody()
    try:
        reader.feed(data)
    except BadFraming as error:
        assert error.status == 400 and error.code and error.message


@pytest.mark.parametrize(
    "endless",
    [
        b"1;" + b"x" * 1000 + b"\r\ny\r\n",
        b"0\r\n" + b"a: 1\r\n" * 20_000,
        b"0" * 20_000,
        b"1\r\nx\r\n1\r\nx" + b"\r" * 9000,
    ],
)
def test_framing_that_outweighs_the_body_is_refused(endless: bytes) -> None:
    reader = ChunkedBody()
    with pytest.raises(BadFraming):
        for _ in range(FRAMING_BYTES):
            reader.feed(endless)
            assert not reader.finished


@pytest.mark.parametrize(
    ("fields", "version", "expected"),
    [
        ([(b"host", b"a")], "1.1", (BodyKind.LENGTH, 0)),
        ([(b"host", b"a"), (b"content-length", b"12")], "1.1", (BodyKind.LENGTH, 12)),
        ([(b"content-length", b"12")], "1.0", (BodyKind.LENGTH, 12)),
        ([(b"host", b"a"), (b"transfer-encoding", b" Chunked")], "1.1", (BodyKind.CHUNKED, 0)),
        ([(b"host", b"a"), (b"expect", b"100-Continue")], "1.1", (BodyKind.LENGTH, 0)),
    ],
)
def test_the_end_of_a_body_is_decided_by_its_head(
    fields: list[tuple[bytes, bytes]], version: str, expected: tuple[BodyKind, int]
) -> None:
    assert body_of(fields, version, "POST") == expected
