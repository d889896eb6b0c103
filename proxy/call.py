"""The closed sets that describe one call: what was asked for, and how it came out."""

from enum import StrEnum


class CallKind(StrEnum):
    """What a call asks for."""

    CHAT = "chat"
    EMBEDDINGS = "embeddings"
    MODELS = "models"


# Where calls are posted; the list of models is asked for by GET.
POSTED = {"/v1/chat/completions": CallKind.CHAT, "/v1/embeddings": CallKind.EMBEDDINGS}


class CallStatus(StrEnum):
    """How a call came out. Each call in the ledger has exactly one."""

    ANSWERED = "answered"
    REFUSED = "refused"
    UPSTREAM_ERROR = "upstream_error"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    CUT_OFF = "cut_off"
    CLIENT_GONE = "client_gone"
    REVOKED = "revoked"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


class AdjustmentKind(StrEnum):
    """Why a call's figures are corrected after its row was written."""

    LATE_END = "late_end"
