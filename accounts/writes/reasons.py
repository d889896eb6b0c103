from django.core.exceptions import ValidationError

from portal.lib.redaction import redact

REASON_MAX = 500


def checked_reason(reason: str, *, act: str) -> str:
    """Return the reason as it may be kept. Raises: ValidationError where it is empty or too long.

    act: what is done, for the text of the error, such as "the key is revoked".
    """
    reason = redact(reason.strip())
    if not 0 < len(reason) <= REASON_MAX:
        raise ValidationError({"reason": f"Say why {act}, in at most {REASON_MAX} characters."})
    return reason
