"""How a call came out, in words and in the colour of its pill."""

from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from proxy.call import CallStatus
from proxy.errors import Code


class Label(NamedTuple):
    """text: the status in a word or two. pill: the kind of its pill. meaning: a sentence."""

    text: "str | Promise"
    pill: str
    meaning: "str | Promise"


LABELS = {
    CallStatus.ANSWERED: Label(_("Answered"), "ok", _("The whole answer was passed on.")),
    CallStatus.REFUSED: Label(_("Refused"), "warn", _("It was not let in.")),
    CallStatus.UPSTREAM_ERROR: Label(_("Model failed"), "bad", _("The model's server failed.")),
    CallStatus.UPSTREAM_TIMEOUT: Label(
        _("Model too slow"), "bad", _("The model's server did not answer in time.")
    ),
    CallStatus.CUT_OFF: Label(_("Cut off"), "bad", _("The model's server broke off its answer.")),
    CallStatus.CLIENT_GONE: Label(
        _("Caller left"), "quiet", _("The caller hung up, or left the answer unread.")
    ),
    CallStatus.REVOKED: Label(
        _("Right ended"), "quiet", _("The caller's right ended while the call ran.")
    ),
    CallStatus.INTERRUPTED: Label(
        _("Interrupted"), "bad", _("The gateway ended during the call; what it used is unknown.")
    ),
    CallStatus.FAILED: Label(_("Failed"), "bad", _("The gateway failed, or was stopped.")),
}
_UNKNOWN = Label(_("Unknown"), "quiet", _("This version does not know how it came out."))
_TEXTS = {code.code: code.text for code in Code}


def label_of(status: str) -> Label:
    try:
        return LABELS[CallStatus(status)]
    except ValueError:
        return _UNKNOWN


def text_of(code: str) -> str:
    """Return what the caller read with this code; nothing where this version has no such code."""
    return _TEXTS.get(code, "")
