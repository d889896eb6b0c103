"""What a rule asks of a token: the subject, whole or by its beginning, and claims by their values. No expression is run."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError

from accounts.models.workload import SUBJECT_MAX

CLAIMS_MAX = 10
VALUES_MAX = 20
NAME_MAX = 200
VALUE_MAX = 300
_SEPARATORS = ":/"
_STAR = "*"


def checked_subject(subject: str) -> str:
    """Return a subject that a rule may match.

    A star stands at the end alone, after a separator and at least two named parts: `repo:acme*` would match a stranger's
    `repo:acme-evil/…`, and `repo:*` everybody at the issuer.
    Raises: ValidationError.
    """
    subject = subject.strip()
    if not 0 < len(subject) <= SUBJECT_MAX or not _is_plain(subject):
        raise ValidationError(
            {"subject": f"Give 1 to {SUBJECT_MAX} characters that can be printed."}
        )
    if _STAR not in subject:
        return subject
    beginning = subject[:-1]
    parts = beginning.replace(":", "/").split("/")
    if not subject.endswith((":*", "/*")) or _STAR in beginning or sum(map(bool, parts)) < 2:
        raise ValidationError(
            {
                "subject": "A star stands at the end alone, after `:` or `/` and at least two named parts, "
                "such as repo:acme/*."
            }
        )
    return subject


def patterns_of(subject: str) -> list[str]:
    """Every subject of a rule that a token with this subject matches, for a look-up by index."""
    beginnings = [
        subject[: place + 1] + _STAR
        for place, character in enumerate(subject[:-1])
        if character in _SEPARATORS
    ]
    # A token whose own subject ends in a star is no beginning of anything.
    return beginnings if _STAR in subject else [subject, *beginnings]


def meet(subject: str, other: str) -> bool:
    """Whether a token could have a subject that both rules match."""
    return subject == other or _begins(subject, other) or _begins(other, subject)


def _begins(pattern: str, other: str) -> bool:
    beginning = pattern.removesuffix(_STAR)
    return pattern != beginning and other.removesuffix(_STAR).startswith(beginning)


def checked_claims(claims: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return claim rules in the form in which they are kept. Raises: ValidationError."""
    if len(claims) > CLAIMS_MAX:
        raise ValidationError({"claims": f"At most {CLAIMS_MAX} claims."})
    return [_checked_claim(claim) for claim in claims]


def claim_texts(claims: Mapping[str, Any], name: str) -> list[str]:
    """Return what the token says under a name or JSON pointer (RFC 6901) as texts; of a list, each of its values."""
    found = _found(claims, name)
    values = found if isinstance(found, list) else [found]
    return [text for text in map(_as_text, values) if text is not None]


def fits_claim(claims: Mapping[str, Any], rule: Mapping[str, Any]) -> bool:
    """Whether the token says one of the values that the rule names."""
    wanted = set(rule["one_of"])
    return any(text in wanted for text in claim_texts(claims, rule["claim"]))


def _checked_claim(claim: Mapping[str, Any]) -> dict[str, Any]:
    name, values = claim.get("claim"), claim.get("one_of")
    if not isinstance(name, str) or not 0 < len(name) <= NAME_MAX or not _is_plain(name):
        raise ValidationError({"claims": "Each claim has a name, or a JSON pointer such as /a/b."})
    if (
        not isinstance(values, list)
        or not 0 < len(values) <= VALUES_MAX
        or not all(isinstance(value, str) and 0 < len(value) <= VALUE_MAX for value in values)
        or not all(map(_is_plain, values))
    ):
        raise ValidationError({"claims": f"Give {name!r} 1 to {VALUES_MAX} values as texts."})
    return {"claim": name, "one_of": list(dict.fromkeys(values))}


def _found(claims: Any, name: str) -> Any:
    if not name.startswith("/"):
        return claims.get(name)
    found = claims
    for step in name[1:].split("/"):
        if not isinstance(found, Mapping):
            return None
        found = found.get(step.replace("~1", "/").replace("~0", "~"))
    return found


def _as_text(value: Any) -> str | None:
    """A text as it is, a whole number or a truth value as JSON writes it; nothing else equals a text."""
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, bool | int) else None


def _is_plain(text: str) -> bool:
    return text.isprintable()
