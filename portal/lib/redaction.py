"""Takes out of a text what looks like a credential, before the text reaches a log or an error."""

import re

# Every repetition is bounded or cannot start within itself: texts come from callers, and time must stay linear.
_CREDENTIALS = re.compile(
    r"""
    lk_[0-9A-Za-z]{4,}_[0-9A-Za-z]+          # our keys, whole or cut short
    | lk(?:cs|rt|dc)_[0-9A-Za-z_\-]{8,}      # secrets of clients, refresh tokens, codes of devices
    | \b(?:sk|pk|rk|gsk|hf|ghp|glpat|xox[abp])[-_][0-9A-Za-z_\-]{8,}   # the usual providers' and forges' keys
    | (?<![0-9A-Za-z_\-])eyJ[0-9A-Za-z_\-]{8,}\.[0-9A-Za-z_\-]+(?:\.[0-9A-Za-z_\-]*)?   # a JWT
    | (?<=bearer\ )[^\s"',]{8,}
    | (?<=://)[^\s/:]{0,256}:[^\s/]{1,256}(?=@)   # user:password in a URL, also without the user
    | (?<=invitations/)[^\s/?#"']{8,}        # a link's token; the page that knows it from the session is open/
    | (?<=password/reset/)[^\s/?#"'\[]{1,64}/[^\s/?#"']{8,}   # the link of a new password
    | (?<=password=)[^\s&"']+                # in a query or a connection's parameters
    """,
    re.VERBOSE | re.IGNORECASE,
)
REDACTED = "[redacted]"


def redact(text: str) -> str:
    return _CREDENTIALS.sub(REDACTED, text)
