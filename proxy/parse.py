"""Step 1: read what was sent, and refuse what has no one meaning.

The head is read before the body: a caller who is not known costs none. Whether `model` may be
called is decided later, from the body's one member of that name and from nothing else.
"""

import msgspec

from portal.lib.client_address import true_peer
from proxy.call import CallKind
from proxy.errors import Code, Refusal
from proxy.exchange import Head, ParsedCall, RawHeaders
from proxy.json_object import decode_object, decode_slices
from proxy.turns import Slices
from proxy.upstreams import openai_chat, openai_embeddings

_SINGLE = frozenset(
    {
        b"authorization",
        b"x-api-key",
        b"content-type",
        b"content-encoding",
        b"content-length",
        b"transfer-encoding",
    }
)
HEADER_VALUE_MAX = 8 * 1024
_READ = {CallKind.CHAT: openai_chat.read_call, CallKind.EMBEDDINGS: openai_embeddings.read_call}


class Fields(msgspec.Struct, frozen=True):
    """The headers that decide, picked out in one pass. Names are lower-case, as servers hand them on."""

    single: dict[bytes, bytes]
    hosts: list[bytes]
    forwarded_for: list[str]


def read_fields(headers: RawHeaders) -> Fields:
    """Pick the headers that decide. Raises: Refusal malformed_request for one that is too long or stands twice."""
    single: dict[bytes, bytes] = {}
    hosts: list[bytes] = []
    forwarded_for: list[str] = []
    for name, value in headers:
        if len(value) > HEADER_VALUE_MAX:
            raise Refusal(Code.MALFORMED_REQUEST, seen="A header is too long.")
        if name in _SINGLE:
            if name in single:
                raise Refusal(Code.MALFORMED_REQUEST, seen="A header that decides stands twice.")
            single[name] = value
        elif name == b"host":
            hosts.append(value)
        elif name == b"x-forwarded-for":
            forwarded_for.append(value.decode("latin-1"))
    return Fields(single, hosts, forwarded_for)


def parse_head(
    kind: CallKind,
    fields: Fields,
    *,
    connection: str,
    trusted_hops: int,
    call_id: bytes,
    request_id: str,
    started_ns: int,
    query: bytes = b"",
    model_in_path: str = "",
) -> Head:
    """Read who is said to call, and in which form.

    connection: the address the connection comes from.
    Raises: Refusal.
    """
    if query:
        raise Refusal(Code.QUERY_NOT_ACCEPTED)
    credential = _credential_text(fields.single)
    if kind is not CallKind.MODELS:
        _refuse_encoding(fields.single)
    return Head(
        kind=kind,
        credential=credential,
        peer=true_peer(connection, fields.forwarded_for, trusted_hops=trusted_hops),
        call_id=call_id,
        request_id=request_id,
        started_ns=started_ns,
        model_in_path=model_in_path,
    )


def parse_body(kind: CallKind, body: bytes) -> ParsedCall:
    """Decode the body one level deep and check the members that decide. Raises: Refusal."""
    return _READ[kind](body, decode_object(body))


def parse_slices(kind: CallKind, body: bytes) -> Slices[ParsedCall]:
    """Do the same in slices, for a body that is large. Raises: Refusal."""
    members = yield from decode_slices(body)
    yield
    call = _READ[kind](body, members)
    # What comes next copies the body on its way upstream.
    yield
    return call


def _credential_text(single: dict[bytes, bytes]) -> str:
    """The key from either carrier; both at once must agree, or one of them would go unchecked."""
    bearer = single.get(b"authorization")
    plain = single.get(b"x-api-key")
    if bearer is None and plain is None:
        raise Refusal(Code.MISSING_CREDENTIAL)
    if bearer is not None:
        scheme, _, token = bearer.partition(b" ")
        if scheme.lower() != b"bearer":
            raise Refusal(Code.INVALID_CREDENTIAL)
        bearer = token.strip(b" ")
        if plain is not None and plain != bearer:
            raise Refusal(Code.INVALID_CREDENTIAL)
    return (bearer if bearer is not None else plain or b"").decode("latin-1")


def _refuse_encoding(single: dict[bytes, bytes]) -> None:
    if single.get(b"content-encoding", b"identity").lower() != b"identity":
        raise Refusal(Code.COMPRESSED_BODY)
    if single.get(b"content-type") == b"application/json":
        # As nearly every client says it.
        return
    media_type, _, parameters = single.get(b"content-type", b"").lower().partition(b";")
    if media_type.strip() != b"application/json":
        raise Refusal(Code.WRONG_CONTENT_TYPE)
    if parameters.strip().replace(b'"', b"") not in (b"", b"charset=utf-8"):
        raise Refusal(Code.WRONG_CONTENT_TYPE)
