"""Only members that are known pass upstream.

Servers give meaning to surprising ones (`api_base`, `extra_headers`, `chat_template`), and one of them sent a peer's
provider key to whoever asked.
"""

from portal.lib.redaction import redact
from proxy.call import CallKind
from proxy.errors import Code, Refusal
from proxy.exchange import ParsedCall
from proxy.route import Route
from proxy.upstreams import openai_chat, openai_embeddings

_ACCEPTED = {
    CallKind.CHAT: openai_chat.ACCEPTED_MEMBERS,
    CallKind.EMBEDDINGS: openai_embeddings.ACCEPTED_MEMBERS,
}


def check_members(kind: CallKind, call: ParsedCall, route: Route) -> None:
    """Let the protocol's members and the model's own extra ones pass. Raises: Refusal member_not_accepted."""
    accepted = _ACCEPTED[kind]
    if call.members.keys() <= accepted:
        return
    for name in call.members:
        if name not in accepted and name not in route.extra_members:
            raise Refusal(
                Code.MEMBER_NOT_ACCEPTED,
                param=redact(name)[:60] if name.isidentifier() else None,
                seen="An administrator can accept it for this model.",
            )
