"""Passwords that everybody tries first, from the list that Django brings along: nothing is asked of any other host."""

import re
from functools import cache

from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.models import User

# What people put before and after a word to make it longer.
_EDGES = re.compile(r"^[\W\d_]+|[\W\d_]+$")
_APART = re.compile(r"[\s._-]+")
_REPEATED = re.compile(r"^(.+?)\1+$")
# Shorter words are part of too many good passphrases to be a reason by themselves.
_WORD_MIN = 4


class KnownPasswordValidator:
    """Refuses a password of the list, and one that is a single word of it made longer.

    The list has some 20,000 passwords, of which few are as long as ours have to be; so a password is also reduced to
    what it was made of: without figures and signs around it, and once instead of again and again.
    """

    def validate(self, password: str, user: User | None = None) -> None:
        """Raises: ValidationError."""
        if any(core in _known() for core in _cores(password)):
            raise ValidationError(
                _(
                    "This password is one of those that are tried first, or one of them made longer."
                ),
                code="password_too_common",
            )

    def get_help_text(self) -> str:
        return _("It may not be one that is commonly used, nor one of those made longer.")


def _cores(password: str) -> set[str]:
    """What the password may have been made of."""
    plain = password.lower().strip()
    joined = _APART.sub("", plain)
    found = {plain, joined}
    for text in (joined, _EDGES.sub("", joined)):
        once = _REPEATED.sub(r"\1", text)
        found |= {core for core in (text, once, _EDGES.sub("", once)) if len(core) >= _WORD_MIN}
    return found | ({""} if len(set(joined)) <= 2 else set())


@cache
def _known() -> frozenset[str]:
    """The list, read once. The empty text stands for what is made of one or two characters alone."""
    return frozenset(CommonPasswordValidator().passwords) | {""}
