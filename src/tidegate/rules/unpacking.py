"""Content encodings: gzip, deflate in both spellings, br and zstd, unpacked in bounded pieces.

Owns which encodings are asked for and how each is undone. Knows no HTTP. Invariants: one step unpacks at most
PIECE_BYTES, so a compression bomb neither blocks the loop nor fills the memory before the caller counts; data that is
not in its encoding, or ends early, is a ValueError. The libraries are imported when something needs them. Crash:
nothing is kept.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

ACCEPTED = "gzip, deflate, br, zstd"
PIECE_BYTES = 256 * 1024
MAX_ENCODINGS = 2  # one inside the other; more is not HTTP that anybody sends
ZSTD_WINDOW_LOG = 27  # of answers: 128 MiB; RFC 9659 allows 8 MiB, and older servers send more


class Unpacker(Protocol):
    """One encoding of one body."""

    @property
    def whole(self) -> bool:
        """Whether what came so far is complete."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """The unpacked parts of `data`, each at most about PIECE_BYTES. ValueError when it is not in the encoding."""


class _Zlib:
    """gzip with any number of members, or deflate: with the zlib header of RFC 9110, or raw, which servers send too."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._stream: Any = zlib.decompressobj(wbits=31) if name == "gzip" else None
        self._held = b""
        self._begun = False

    @property
    def whole(self) -> bool:
        return not self._held and (not self._begun or bool(self._stream.eof))

    def pieces(self, data: bytes) -> Iterator[bytes]:
        if self._stream is None:
            self._held += data
            if len(self._held) < 2:
                return
            data, self._held = self._held, b""
            has_header = data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
            self._stream = zlib.decompressobj(wbits=15 if has_header else -15)
        full = False  # the last piece may have left output behind without any input
        while data or full:
            if self._stream.eof:
                if self._name != "gzip":
                    return  # bytes after the end of deflate are ignored, as every client does
                self._stream = zlib.decompressobj(wbits=31)
            self._begun = True
            try:
                piece = self._stream.decompress(data, PIECE_BYTES)
            except zlib.error:
                raise _not(self._name) from None
            data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            full = len(piece) >= PIECE_BYTES and not self._stream.eof
            yield piece


class _Brotli:
    def __init__(self) -> None:
        import brotli

        self._error: type[Exception] = brotli.error
        self._stream: Any = brotli.Decompressor()
        self._begun = False

    @property
    def whole(self) -> bool:
        return not self._begun or bool(self._stream.is_finished())

    def pieces(self, data: bytes) -> Iterator[bytes]:
        self._begun = self._begun or bool(data)
        full = False
        while data or full or not self._stream.can_accept_more_data():
            try:
                piece = self._stream.process(data, output_buffer_limit=PIECE_BYTES)
            except self._error:
                raise _not("br") from None
            data = b""
            full = len(piece) >= PIECE_BYTES and not self._stream.is_finished()
            yield piece


class _Zstd:
    """Any number of frames."""

    def __init__(self, window_log: int) -> None:
        try:
            from compression import zstd  # type: ignore[import-not-found, unused-ignore]
        except ImportError:  # before Python 3.14
            from backports import zstd

        self._error: type[Exception] = zstd.ZstdError
        self._make: Callable[[], Any] = lambda: zstd.ZstdDecompressor(
            options={zstd.DecompressionParameter.window_log_max: window_log}
        )
        self._stream: Any = self._make()
        self._begun = False

    @property
    def whole(self) -> bool:
        return not self._begun or bool(self._stream.eof)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        self._begun = self._begun or bool(data)
        while data or not (self._stream.eof or self._stream.needs_input):
            if self._stream.eof:
                self._stream = self._make()
            try:
                piece = self._stream.decompress(data, PIECE_BYTES)
            except self._error:
                raise _not("zstd") from None
            data = self._stream.unused_data if self._stream.eof else b""
            yield piece


class _Chain:
    """Encodings one inside the other, the one that was applied last first."""

    def __init__(self, outer: Unpacker, inner: Unpacker) -> None:
        self._outer = outer
        self._inner = inner

    @property
    def whole(self) -> bool:
        return self._outer.whole and self._inner.whole

    def pieces(self, data: bytes) -> Iterator[bytes]:
        for piece in self._outer.pieces(data):
            yield from self._inner.pieces(piece)


_MAKERS: dict[str, Callable[[int], Unpacker]] = {
    "gzip": lambda _: _Zlib("gzip"),
    "x-gzip": lambda _: _Zlib("gzip"),
    "deflate": lambda _: _Zlib("deflate"),
    "br": lambda _: _Brotli(),
    "zstd": _Zstd,
}


def unpacker(content_encoding: str, zstd_window_log: int = ZSTD_WINDOW_LOG) -> Unpacker | None:
    """What undoes a Content-Encoding; None when there is nothing to undo. ValueError for one that was not asked for.

    `zstd_window_log`: the largest window of zstd, as a power of two; a body names its own, which is then allocated.
    """
    names = [name for name in content_encoding.lower().replace(" ", "").split(",") if name not in ("", "identity")]
    unknown = [name for name in names if name not in _MAKERS]
    if unknown or len(names) > MAX_ENCODINGS:
        raise ValueError(f"the encoding {content_encoding[:40]!r} was not asked for")
    if not names:
        return None
    if len(names) == 1:
        return _MAKERS[names[0]](zstd_window_log)
    outer, inner = (_MAKERS[name](zstd_window_log) for name in reversed(names))
    return _Chain(outer, inner)


def _not(name: str) -> ValueError:
    return ValueError(f"the answer is not {name}, although its Content-Encoding says so")
