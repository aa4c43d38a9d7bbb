"""Undoes the Content-Encoding of a body: gzip, deflate, br and zstd.

Owns the bounds: of the unpacked bytes, of the parts that a body consists of, and of the memory that a body may ask for.
Knows no format of what is inside. Invariants: nothing here raises, whatever the bytes are; time and memory are linear
in the body and its bound. Crash: nothing is kept.
"""

from __future__ import annotations

import zlib

from tidegate.rules.unpacking import unpacker

MAX_UNPACKED = 16 << 20  # bytes of a compressed body after unpacking
UNPACKED_RATIO = 50  # and no more than this times the packed bytes, once it is over
UNPACKED_ALWAYS = 1 << 20
MAX_MEMBERS = 64  # of a gzip body; each costs a copy of the rest
MAX_SMALL_PIECES = 1000  # of a br or zstd body: each costs a copy of what is fed with it
SMALL_PIECE = 1024
FED_BYTES = 64 * 1024
ZSTD_WINDOW_LOG = 23  # 8 MiB, the limit of RFC 9659
_NO_CODING = frozenset({"", "identity", "utf-8", "aws-chunked"})


def unpack(body: bytes, encoding: str, at_most: int = MAX_UNPACKED) -> bytes | str:
    """The body without its Content-Encoding (gzip, deflate, br, zstd, or two of them), or why it cannot be unpacked."""
    words = [word for one in encoding.split(",") if (word := one.strip().lower()) not in _NO_CODING]
    if not words and body[:2] != b"\x1f\x8b":
        return body
    word = ", ".join(words) or "gzip"
    most = min(at_most, MAX_UNPACKED, max(UNPACKED_ALWAYS, UNPACKED_RATIO * len(body)))
    if word not in ("gzip", "x-gzip", "deflate"):
        return _undo(body, word, most)
    # A `deflate` body is a zlib stream by the standard, and a bare one by the habit of some senders.
    sizes = (31,) if "gzip" in word else (15, -15)
    for window in sizes:
        try:
            data, why = _inflate(body, window, most)
        except zlib.error:
            continue
        return f"the body is {word} and {why}" if why else data
    return f"the body is labeled {word} and is not"


def _inflate(body: bytes, window: int, most: int) -> tuple[bytes, str]:
    """(the unpacked bytes, "" or why not). A gzip body may have several members, one after the other (RFC 1952)."""
    data = b""
    for _ in range(MAX_MEMBERS):
        stream = zlib.decompressobj(wbits=window)
        data += stream.decompress(body, most - len(data) + 1)
        if stream.unconsumed_tail or len(data) > most:
            return b"", f"has more than {most} bytes when unpacked"
        if not stream.eof:
            return b"", "is cut off"
        body = stream.unused_data
        if body[:2] != b"\x1f\x8b":
            return data, ""
    return b"", f"has more than {MAX_MEMBERS} parts"


def _undo(body: bytes, word: str, most: int) -> bytes | str:
    """As `unpack`, for br, zstd and encodings one inside the other."""
    try:
        undone = unpacker(word, ZSTD_WINDOW_LOG)
    except ValueError:
        return f"the body is {_word(word)}, which is not unpacked here: only gzip, deflate, br and zstd are"
    assert undone is not None
    parts: list[bytes] = []
    size = small = 0
    try:
        for at in range(0, len(body), FED_BYTES):
            for piece in undone.pieces(body[at : at + FED_BYTES]):
                parts.append(piece)
                size += len(piece)
                small += len(piece) < SMALL_PIECE
                if size > most:
                    return f"the body is {word} and has more than {most} bytes when unpacked"
                if small > MAX_SMALL_PIECES:
                    return f"the body is {word} and has more than {MAX_SMALL_PIECES} parts"
    except ValueError:
        return f"the body is labeled {word} and is not"
    return b"".join(parts) if undone.whole else f"the body is {word} and is cut off"


def _word(text: str) -> str:
    return text if text.isalnum() and len(text) <= 20 else repr(text[:20])
