"""Takes out of a text what looks like a credential, before the text reaches a log or an error."""

import re

_CREDENTIALS = re.compile(
    r"""
    lk_[0-9A-Za-z]{4,}_[0-9A-Za-z]+          # our keys, whole or cut short
    | \b(?:sk|pk|rk|gsk|hf|ghp|glpat|xox[abp])[-_][0-9A-Za-z_\-]{8,}   # the usual providers' and forges' keys
    | \beyJ[0-9A-Za-z_\-]{8,}\.[0-9A-Za-z_\-]+(?:\.[0-9A-Za-z_\-]*)?   # a JWT
    | (?<=bearer\ )[^\s"',]{8,}
    | (?<=://)[^\s/@]+:[^\s/@]+(?=@)          # user:password in a URL
    """,
    re.VERBOSE | re.IGNORECASE,
)
REDACTED = "[redacted]"


def redact(text: str) -> str:
    return _CREDENTIALS.sub(REDACTED, text)
