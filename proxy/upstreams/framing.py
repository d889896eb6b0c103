"""One answer's bytes turned into status, headers and body, and nothing beyond that one answer.

llhttp (through httptools) reads the grammar, in its strict mode. What it leaves open is closed
here: sizes, versions, codings, upgrades, interim answers, and where an answer ends.
"""

from httptools import HttpParserError, HttpResponseParser

from proxy.upstreams.failures import AnswerTooLarge, BadAnswer, CutOff, UpstreamFailure

# Counted over all heads of one exchange, and over chunk extensions and trailers.
HEAD_BYTES_MAX = 32 * 1024
# What one more header costs us beside its bytes.
_HEADER_OVERHEAD_BYTES = 32
_COMPARED_BYTES = 16
_LAST_CHUNK = b"0\r\n\r\n"
_VERSIONS = frozenset({"1.1", "1.0"})
_BODILESS = frozenset({204, 304})
_FRAMING_NAMES = frozenset(
    {b"content-length", b"transfer-encoding", b"content-encoding", b"keep-alive"}
)


class AnswerFraming:
    """The parser's state for one answer. `feed` it bytes; read its attributes."""

    __slots__ = (
        "_bare_bytes",
        "_body_bytes",
        "_failure",
        "_framing",
        "_interim",
        "_max_body_bytes",
        "_parser",
        "complete",
        "ended_cleanly",
        "head_complete",
        "headers",
        "pieces",
        "pieces_bytes",
        "started",
        "status",
        "until_close",
    )

    def __init__(self, *, max_body_bytes: int) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.pieces: list[bytes] = []
        self.pieces_bytes = 0
        self.started = False
        self.head_complete = False
        self.complete = False
        # Whether the connection may carry another exchange after this one.
        self.ended_cleanly = False
        self.until_close = False
        self._interim = False
        self._framing: dict[bytes, bytes] = {}
        self._failure: UpstreamFailure | None = None
        self._max_body_bytes = max_body_bytes
        self._body_bytes = 0
        self._bare_bytes = 0
        self._parser = HttpResponseParser(self)

    def feed(self, data: memoryview) -> None:
        """Take bytes in, in any division. Raises: BadAnswer, AnswerTooLarge."""
        if not self.started:
            # llhttp also reads RTSP/ and ICE/ and skips blank lines.
            if data[0] != 0x48:
                raise BadAnswer("The answer does not start with HTTP/.")
            self.started = True
        body_bytes = self._body_bytes
        self._bare_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            # After the end this is the start of something that nobody asked for.
            if not self.complete:
                raise self._failure or BadAnswer(f"llhttp refused the answer: {error}.") from None
            self.ended_cleanly = False
        if self.complete:
            # The parser refers to our methods, and we to it: let go without the garbage collector.
            del self._parser
            self.ended_cleanly = self.ended_cleanly and self._ends_with(data)
        elif self._body_bytes != body_bytes:
            self._bare_bytes = 0
        elif self._bare_bytes > HEAD_BYTES_MAX:
            raise BadAnswer(f"More than {HEAD_BYTES_MAX} bytes came without any of the body.")

    def end(self) -> None:
        """Take the connection's end in. Raises: CutOff where the answer needed more."""
        if self.complete:
            return
        if not (self.head_complete and self.until_close):
            raise CutOff("The connection ended before the answer did.")
        self.complete = True

    def take_body(self) -> bytes:
        """Return what has come of the body since the last time."""
        pieces = self.pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.pieces = []
        self.pieces_bytes = 0
        return body

    def keep_alive_s(self) -> float | None:
        """Return how long the upstream keeps idle connections, None if it does not say."""
        if b"keep-alive" not in self._framing:
            return None
        for part in self._framing[b"keep-alive"].lower().split(b","):
            name, _, value = part.partition(b"=")
            if name.strip() == b"timeout" and value.strip().isdigit():
                return float(value)
        return None

    def on_message_begin(self) -> None:
        if self.complete:
            raise BadAnswer("Bytes came after the answer's end.")

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers are dropped: nothing may be decided after the head.
        if not self.head_complete:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if self._parser.get_http_version() not in _VERSIONS:
            self._refuse(BadAnswer("The answer's version is neither HTTP/1.1 nor HTTP/1.0."))
        if self._bare_bytes > HEAD_BYTES_MAX:
            self._measure_head()
        for name, value in self.headers:
            if name in _FRAMING_NAMES:
                self._note_framing(name, value)
        if self.status < 200:
            self._start_interim()
            return
        length = self._framing.get(b"content-length")
        if length is not None and int(length) > self._max_body_bytes:
            self._refuse(AnswerTooLarge(f"The answer announces {int(length)} bytes."))
        self.until_close = (
            length is None
            and b"transfer-encoding" not in self._framing
            and self.status not in _BODILESS
        )
        self.head_complete = True

    def on_body(self, piece: bytes) -> None:
        self._body_bytes += len(piece)
        if self._body_bytes > self._max_body_bytes:
            self._refuse(AnswerTooLarge(f"More than {self._max_body_bytes} bytes came."))
        self.pieces.append(piece)
        self.pieces_bytes += len(piece)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
            self.headers.clear()
            self._framing.clear()
            return
        self.complete = True
        self.ended_cleanly = self._parser.should_keep_alive()

    def _measure_head(self) -> None:
        """Refuse a head that is too large, though it came together with a part of its body."""
        head_bytes = sum(
            len(name) + len(value) + _HEADER_OVERHEAD_BYTES for name, value in self.headers
        )
        if head_bytes > HEAD_BYTES_MAX:
            self._refuse(BadAnswer(f"The head is larger than {HEAD_BYTES_MAX} bytes."))

    def _note_framing(self, name: bytes, value: bytes) -> None:
        if name == b"content-encoding" and value.strip().lower() not in (b"identity", b""):
            self._refuse(BadAnswer("The answer is compressed, which was not asked for."))
        if name == b"transfer-encoding" and (value.lower() != b"chunked" or name in self._framing):
            self._refuse(BadAnswer("The answer's transfer coding is not exactly chunked."))
        self._framing[name] = value

    def _start_interim(self) -> None:
        if self.status < 100 or self.status == 101:
            self._refuse(BadAnswer(f"The answer has status {self.status}."))
        if b"transfer-encoding" in self._framing or b"content-length" in self._framing:
            self._refuse(BadAnswer("An interim answer announces a body."))
        self._interim = True

    def _ends_with(self, data: memoryview) -> bool:
        """Say whether the answer's last byte is also the last of these bytes.

        llhttp reports whatever follows an answer except blank lines, so those are looked for here.
        A line end that still slips through (after a body that ends in one) is skipped by every
        parser and cannot begin an answer.
        """
        if b"transfer-encoding" in self._framing:
            end = _LAST_CHUNK
        elif self.pieces:
            end = self.pieces[-1][-_COMPARED_BYTES:]
        else:
            end = b"\r\n\r\n"
        return end.endswith(bytes(data[-len(end) :]))

    def _refuse(self, failure: UpstreamFailure) -> None:
        self._failure = failure
        raise failure
