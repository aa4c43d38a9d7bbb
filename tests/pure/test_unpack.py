"""Content encodings of answers: every spelling is undone in bounded pieces, and what is broken is an error."""

from __future__ import annotations

import gzip
import zlib

import brotli
import pytest

from tidegate.rules.unpacking import PIECE_BYTES, unpacker

try:
    from compression import zstd
except ImportError:
    from backports import zstd

BODY = b"".join(b'{"id": %d, "name": "row"},' % number for number in range(2000))


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


PACKED = {
    "gzip": gzip.compress(BODY[:9]) + gzip.compress(BODY[9:]),
    "x-gzip": gzip.compress(BODY),
    "deflate": zlib.compress(BODY),
    "Deflate": raw_deflate(BODY),
    "br": brotli.compress(BODY),
    "zstd": zstd.compress(BODY[:9]) + zstd.compress(BODY[9:]),
    "gzip, br": brotli.compress(gzip.compress(BODY)),
    " BR ": brotli.compress(BODY),
}


def unpacked(encoding: str, data: bytes, step: int) -> tuple[bytes, bool]:
    unpack = unpacker(encoding)
    assert unpack is not None
    parts = [piece for at in range(0, len(data), step) for piece in unpack.pieces(data[at : at + step])]
    return b"".join(parts), unpack.whole


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
@pytest.mark.parametrize("encoding", list(PACKED))
def test_every_encoding_is_undone_however_its_bytes_arrive(encoding: str, step: int) -> None:
    assert unpacked(encoding, PACKED[encoding], step) == (BODY, True)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "Deflate", "br", "zstd"])
def test_an_answer_that_ends_early_is_not_whole(encoding: str) -> None:
    assert unpacked(encoding, PACKED[encoding][:-5], 50)[1] is False


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_an_answer_in_another_encoding_is_an_error(encoding: str) -> None:
    with pytest.raises(ValueError, match=f"not {encoding}"):
        unpacked(encoding, b"[1, 2, 3]" * 100, 1 << 20)


@pytest.mark.parametrize("encoding", ["", "identity", "Identity", " , "])
def test_there_is_nothing_to_undo_without_an_encoding(encoding: str) -> None:
    assert unpacker(encoding) is None


@pytest.mark.parametrize("encoding", ["compress", "gzip, gzip, gzip", "aws-chunked", "br, sdch"])
def test_an_encoding_that_was_not_asked_for_is_an_error(encoding: str) -> None:
    with pytest.raises(ValueError, match="not asked for"):
        unpacker(encoding)


@pytest.mark.parametrize("make", [gzip.compress, zlib.compress, raw_deflate, brotli.compress, zstd.compress])
def test_a_bomb_comes_in_bounded_pieces(make: object) -> None:
    names = {gzip.compress: "gzip", brotli.compress: "br", zstd.compress: "zstd"}
    data = make(bytes(20_000_000))  # type: ignore[operator]
    assert len(data) < 100_000
    unpack = unpacker(names.get(make, "deflate"))  # type: ignore[call-overload]
    assert unpack is not None
    sizes = [len(piece) for piece in unpack.pieces(data)]
    assert sum(sizes) == 20_000_000
    assert max(sizes) <= 2 * PIECE_BYTES
    assert unpack.whole


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_an_empty_body_is_whole(encoding: str) -> None:
    assert unpacked(encoding, b"", 1) == (b"", True)


@pytest.mark.parametrize("extra", [1, 100, 200, 257, 258])
def test_output_that_is_left_when_all_input_was_read_is_not_lost(extra: int) -> None:
    body = bytes(PIECE_BYTES + extra)
    assert unpacked("deflate", raw_deflate(body), 1 << 20) == (body, True)
