"""The head of a request in HTTP/2 (RFC 9113 §8.3): header blocks become what HTTP/1 heads become.

A client that repeats its request costs one look into the memory of blocks. Clients that change only the path
are remembered by the rest of the block. Clients that change more are read like their request before.
"""

from typing import Final

from proxy.http import limits
from proxy.http.errors import RequestError
from proxy.http.fields import CONTROL, Field, named_field
from proxy.http.request_headers import RequestHeaders, headers_of
from proxy.http.request_line import RequestLine, request_line_of
from proxy.http2.errors import COMPRESSION_ERROR, PROTOCOL_ERROR, Http2Error, StreamError
from proxy.http2.hpack import HeaderEntry, HpackError, decode_block
from proxy.http2.huffman import decode_huffman
from proxy.http2.memory import Http2RequestHead, KnownTable, KnownTables
from proxy.http2.similar import SimilarHead

_CONNECTION_FIELDS: Final = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)
"""Fields that say something of an HTTP/1 connection, and make a request malformed (RFC 9113 §8.2.2)."""
_SCHEMES: Final = (b"http", b"https")
_CHUNKED: Final = Field(b"transfer-encoding", CONTROL, b"chunked", b"")
"""Tells endpoints, and ourselves, that a body comes whose length is not known."""
_UPGRADE: Final = (
    Field(b"connection", CONTROL, b"Upgrade", b""),
    Field(b"upgrade", CONTROL, b"websocket", b""),
)

_HOPELESS: Final = 16
"""Blocks in a row that were new. From then on, few are offered to the memory, and others are read as like the
one before."""


class Http2HeadReader:
    """Reads the header blocks of one connection, one after the other: each may change the table."""

    __slots__ = ("_new", "_similar", "_table", "_tables", "headers", "line")

    line: RequestLine
    headers: RequestHeaders

    def __init__(self, tables: KnownTables) -> None:
        self._tables = tables
        self._table = tables.root
        self._new = 0  # blocks in a row that were not remembered
        self._similar: SimilarHead | None = None

    def read(self, block: bytes, stream: int, *, ends: bool) -> None:
        """Read the head of a request, and set `line` and `headers`; `ends`: no body follows.

        Raises RequestError for a head that is answered by a status, StreamError for one that is malformed,
        Http2Error where the table is lost, too.
        """
        memories = self._table.requests if ends else self._table.uploads
        head = memories.whole.known.get(block) if memories is not None else None
        if head is None:
            at, end = _path_at(block)
            if not at or not self._read_rest(block, at, end, stream, ends=ends):
                self._decode(block, at, end, stream, ends=ends)
            return
        self._new = 0
        if head.after is not None:
            self._table = head.after
        self.line = head.line
        self.headers = head.headers

    def _read_rest(self, block: bytes, at: int, end: int, stream: int, *, ends: bool) -> bool:
        """Take the head from the memory of blocks without their path; False where it is not there."""
        memories = self._table.requests if ends else self._table.uploads
        known = memories.rests.known.get(block[:at] + block[end:]) if memories is not None else None
        if known is None:
            return False
        if known.after is not None:
            self._table = known.after
        self._new = 0
        path = block[at + 1 : end]
        if block[at] & 128:
            try:
                path = decode_huffman(path)
            except HpackError as error:
                raise Http2Error(COMPRESSION_ERROR, str(error)) from error
        method = known.line.resource.method
        _check_path(method, path, stream)
        self.line = request_line_of(method, path)
        self.headers = known.headers
        return True

    def _decode(self, block: bytes, at: int, end: int, stream: int, *, ends: bool) -> None:
        before = self._table
        entries = self._entries(block)
        after = self._table if self._table is not before else None
        self._new += 1
        if self._new > _HOPELESS and self._read_similar(entries, stream, ends=ends):
            return
        parsed = _Parsed(entries, stream, ends=ends)
        self.line = parsed.line
        self.headers = parsed.headers
        if self._new >= _HOPELESS:
            self._similar = parsed.as_pattern(entries, ends=ends)
        # A table of one connection that the block has changed does not come again, nor does its block
        is_of_use = before.is_shared or after is None
        if is_of_use and (self._new <= _HOPELESS or self._new % _HOPELESS < 2):
            self._offer(before, Http2RequestHead(self.line, self.headers, after), block, at, end, ends=ends)

    def _read_similar(self, entries: list[HeaderEntry], stream: int, *, ends: bool) -> bool:
        """Read a head that is like the one before; False where it is not."""
        similar = self._similar
        changed = similar.changed(entries, ends=ends) if similar is not None else None
        if similar is None or changed is None:
            return False
        for at in changed:
            if entries[at].field is None:
                _field_of(entries[at], stream)
        path = similar.path_of(entries)
        _check_path(similar.method, path, stream)
        self.line = request_line_of(similar.method, path)
        self.headers = similar.headers_of(entries, changed)
        return True

    def _offer(
        self, table: KnownTable, head: Http2RequestHead, block: bytes, at: int, end: int, *, ends: bool
    ) -> None:
        memories = table.memories(ends=ends)
        is_kept = memories.whole.offer(block, head)
        if at:
            is_kept = memories.rests.offer(block[:at] + block[end:], head) or is_kept
        if is_kept:
            head.headers.is_remembered = True
            if table.is_shared:
                self._tables.count(len(block))

    def _entries(self, block: bytes) -> list[HeaderEntry]:
        """Decode a block, and step on to the table behind it, whatever the entries turn out to be."""
        before = self._table
        try:
            decoded = decode_block(before.table, block, limits.MAX_FIELDS, limits.MAX_HEAD_BYTES)
        except HpackError as error:
            raise Http2Error(COMPRESSION_ERROR, str(error)) from error
        if decoded.table is not before.table:
            self._table = before.behind(decoded.table)
        if decoded.is_too_large:
            raise RequestError(
                431, f"more than {limits.MAX_FIELDS} header fields, or {limits.MAX_HEAD_BYTES} bytes of them"
            )
        return decoded.entries

    def pass_over(self, block: bytes) -> None:
        """Decode a block that has no meaning any more, for its changes of the table. Raises Http2Error."""
        try:
            self._entries(block)
        except RequestError:
            return  # too large: the table is in step

    def read_trailers(self, block: bytes, stream: int) -> bytes:
        """Return the field lines behind a body. Raises StreamError, Http2Error."""
        try:
            entries = self._entries(block)
        except RequestError as error:
            raise StreamError(stream, PROTOCOL_ERROR, error.detail) from error
        lines = []
        for entry in entries:
            if entry.name.startswith(b":"):
                raise StreamError(stream, PROTOCOL_ERROR, "a pseudo-header field behind the body")
            lines.append(_field_of(entry, stream))
        return b"".join([field.forward for field in lines])


def _path_at(block: bytes) -> tuple[int, int]:
    """Return where the path of a block begins, with its length byte, and where it ends; 0, 0 where that takes
    more than a look.

    The path is the first literal, behind fields that are indexed by one byte each. The bytes before the
    path end with the byte that announces it, so a block without its path tells where the path was.
    """
    at = 0
    size = len(block)
    while at < size and 128 < block[at] < 255:
        at += 1
    # RFC 7541 §6.2.2, §6.2.3: a literal that no table takes, with the name of entry 4 or 5, `:path`
    if at + 2 > size or block[at] & ~16 not in (4, 5):
        return 0, 0
    length = block[at + 1] & 127
    if length == 127 or at + 2 + length > size:
        return 0, 0
    return at + 1, at + 2 + length


class _Pseudo:
    """The pseudo-header fields of a request."""

    __slots__ = ("authority", "method", "path", "protocol", "scheme")

    def __init__(self) -> None:
        self.method: bytes | None = None
        self.scheme: bytes | None = None
        self.authority: bytes | None = None
        self.path: bytes | None = None
        self.protocol: bytes | None = None

    def take(self, name: bytes, value: bytes) -> bool:
        """Take a field; False for one that has come before, or does not exist."""
        before: bytes | None = b""
        if name == b":method":
            before, self.method = self.method, value
        elif name == b":path":
            before, self.path = self.path, value
        elif name == b":scheme":
            before, self.scheme = self.scheme, value
        elif name == b":authority":
            before, self.authority = self.authority, value
        elif name == b":protocol":
            before, self.protocol = self.protocol, value
        return before is None


class _Parsed:
    """A head, read field by field.

    Raises StreamError for a malformed request (RFC 9113 §8.1.1), RequestError for one to be answered.
    """

    __slots__ = ("_fields", "_is_plain", "headers", "line")

    def __init__(self, entries: list[HeaderEntry], stream: int, *, ends: bool) -> None:
        pseudo = _Pseudo()
        fields: list[Field] = []
        cookies: list[bytes] = []
        for entry in entries:
            name = entry.name
            if name.startswith(b":"):
                if fields or not pseudo.take(name, entry.value):
                    raise StreamError(stream, PROTOCOL_ERROR, "a pseudo-header field too many, or too late")
                continue
            field = entry.field or _field_of(entry, stream)
            if name == b"cookie":
                cookies.append(field.value)
            fields.append(field)
        if len(cookies) > 1:
            fields = _joined(fields, cookies)
        method, path = _asked(pseudo, stream)
        _add_authority(pseudo, fields, stream)
        self._is_plain = len(cookies) < 2 and pseudo.protocol is None
        if pseudo.protocol is not None:
            fields.extend(_UPGRADE)
        elif not ends and not any(field.name == b"content-length" for field in fields):
            fields.append(_CHUNKED)
            self._is_plain = False
        self._fields = fields
        self.line = request_line_of(method, path)
        self.headers = headers_of(fields)
        if self.headers.control.authority is None:
            raise RequestError(400, "neither :authority nor Host")
        if ends and self.headers.control.length > 0:
            raise StreamError(stream, PROTOCOL_ERROR, "Content-Length, and no body")

    def as_pattern(self, entries: list[HeaderEntry], *, ends: bool) -> SimilarHead | None:
        """Return the pattern for heads like this one, None where its fields are not those of its entries."""
        if not self._is_plain or self.headers.request_id:
            return None
        method = self.line.resource.method
        return SimilarHead(entries, self._fields, self.headers, method, ends=ends)


def _joined(fields: list[Field], cookies: list[bytes]) -> list[Field]:
    """Return the fields with one cookie (RFC 9113 §8.2.3: its pairs may come apart)."""
    others = [field for field in fields if field.name != b"cookie"]
    return [*others, named_field(b"cookie", b"; ".join(cookies))]


def _field_of(entry: HeaderEntry, stream: int) -> Field:
    """Return the field of an entry that has none yet. Raises StreamError."""
    name = entry.name
    try:
        field = named_field(name, entry.value)
    except RequestError as error:
        raise StreamError(stream, PROTOCOL_ERROR, error.detail) from error
    if field.name != name:
        raise StreamError(stream, PROTOCOL_ERROR, "a header name with capital letters")
    if name in _CONNECTION_FIELDS or (name == b"te" and entry.value.lower() != b"trailers"):
        raise StreamError(stream, PROTOCOL_ERROR, f"{name.decode()} in HTTP/2")
    entry.field = field
    return field


def _asked(pseudo: _Pseudo, stream: int) -> tuple[bytes, bytes]:
    """Return method and path; CONNECT with a protocol is a GET that asks for an upgrade (RFC 8441 §4)."""
    method, path = pseudo.method, pseudo.path
    if method == b"CONNECT" and pseudo.protocol is None:
        raise RequestError(405, "CONNECT is not served by a reverse proxy")
    if not method or path is None or pseudo.scheme is None:
        raise StreamError(stream, PROTOCOL_ERROR, "a request without :method, :scheme or :path")
    if pseudo.scheme.lower() not in _SCHEMES:
        raise StreamError(stream, PROTOCOL_ERROR, "the :scheme is neither http nor https")
    if pseudo.protocol is not None:
        if method != b"CONNECT":
            raise StreamError(stream, PROTOCOL_ERROR, "a :protocol, and another method than CONNECT")
        if pseudo.protocol != b"websocket":
            raise RequestError(501, "the only :protocol is websocket")
        method = b"GET"
    _check_path(method, path, stream)
    return method, path


def _check_path(method: bytes, path: bytes, stream: int) -> None:
    """A path begins with a slash, but that of OPTIONS may be `*` (RFC 9113 §8.3.1). Raises StreamError."""
    if not path.startswith(b"/") and not (path == b"*" and method == b"OPTIONS"):
        raise StreamError(stream, PROTOCOL_ERROR, "the :path does not begin with a slash")


def _add_authority(pseudo: _Pseudo, fields: list[Field], stream: int) -> None:
    """Make :authority the Host field. Two that differ would let two servers see two hosts."""
    authority = pseudo.authority
    if authority is None:
        return
    for field in fields:
        if field.name == b"host":
            if field.value.lower() != authority.lower():
                raise StreamError(stream, PROTOCOL_ERROR, "Host differs from :authority")
            return
    try:
        fields.insert(0, named_field(b"host", authority))
    except RequestError as error:
        raise StreamError(stream, PROTOCOL_ERROR, "the :authority is not a host and port") from error
