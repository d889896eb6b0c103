"""Set up, use and take away second factors: each with its entry, and with a mail to the person."""

from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, validate_totp_code
from allauth.mfa.webauthn.internal.auth import (
    WebAuthn,
    complete_registration,
    parse_registration_response,
)
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.audit import Actor, acting, record_audit
from accounts.models import User
from accounts.models.audit import AuditTag
from accounts.models.notifications import NotificationKind
from accounts.second_factors import has_second_factor, second_factors_of
from accounts.signing_in.factor_adapter import secrets_of
from accounts.writes.notifications import notify
from accounts.writes.portal_roles import refuse_above
from accounts.writes.reasons import checked_reason

PASSKEYS_MAX = 20
PASSKEY_NAME_MAX = 100
# An answer of a browser is a few kilobytes; one with a chain of certificates may be more.
CREDENTIAL_MAX = 32_768


@transaction.atomic
def add_totp(person: User, *, secret: str, code: str) -> list[str]:
    """Bind an authenticator app, which proves by a code that it knows the secret.

    Returns: recovery codes to show once, or none where the person has them already.
    Raises: ValidationError.
    """
    person = _locked(person)
    if Authenticator.objects.filter(user=person, type=Authenticator.Type.TOTP).exists():
        raise ValidationError(_("An authenticator app is set up already. Remove it first."))
    if not validate_totp_code(secret, code):
        raise ValidationError({"code": _("This is not the code that the app shows now.")})
    with secrets_of(person):
        TOTP.activate(person, secret)
    return _added(person, Authenticator.Type.TOTP)


@transaction.atomic
def add_passkey(person: User, *, name: str, credential: dict[str, Any]) -> list[str]:
    """Bind a passkey, whose answer to this session's challenge is checked.

    Returns: recovery codes to show once, or none where the person has them already.
    Raises: ValidationError.
    """
    person = _locked(person)
    passkeys = Authenticator.objects.filter(user=person, type=Authenticator.Type.WEBAUTHN)
    if passkeys.count() >= PASSKEYS_MAX:
        raise ValidationError(_("These are as many passkeys as one person may have."))
    parse_registration_response(credential)
    if not complete_registration(credential).is_user_verified():
        raise ValidationError(_("The device has to ask for a finger, a face or a PIN."))
    WebAuthn.add(person, name.strip()[:PASSKEY_NAME_MAX] or _("Passkey"), credential)
    return _added(person, Authenticator.Type.WEBAUTHN)


@transaction.atomic
def remove_factor(factor: Authenticator, *, actor: Actor, reason: str = "") -> None:
    """Take a second factor away, and the recovery codes with the last of them. Twice changes nothing more.

    Raises: ValidationError for recovery codes, which are replaced and not removed.
    """
    person = _locked(factor.user)
    if factor.type == Authenticator.Type.RECOVERY_CODES:
        raise ValidationError(_("Recovery codes go with the last second factor."))
    if not Authenticator.objects.filter(pk=factor.pk).delete()[0]:
        return
    if not has_second_factor(person):
        Authenticator.objects.filter(user=person).delete()
    _record(AuditTag.SECOND_FACTOR_REMOVED, person, actor=actor, kind=factor.type, reason=reason)
    _tell(person, "removed", factor.type)


@transaction.atomic
def remove_all_factors(person: User, *, actor: Actor, reason: str) -> None:
    """Take every second factor away from somebody who has lost theirs.

    Raises: ValidationError without a reason; PermissionDenied where they may more in the portal than the actor.
    """
    reason = checked_reason(reason, act="the second factors are removed")
    refuse_above(actor, person)
    for factor in second_factors_of(_locked(person)):
        remove_factor(factor, actor=actor, reason=reason)


@transaction.atomic
def replace_recovery_codes(person: User) -> list[str]:
    """Make new recovery codes, to be shown once; the old ones end. Raises: ValidationError without a second factor."""
    person = _locked(person)
    if not has_second_factor(person):
        raise ValidationError(_("Set up a second factor first."))
    Authenticator.objects.filter(user=person, type=Authenticator.Type.RECOVERY_CODES).delete()
    codes = _new_codes(person)
    _record(AuditTag.RECOVERY_CODES_REPLACED, person, actor=acting(person))
    _tell(person, "replaced", Authenticator.Type.RECOVERY_CODES)
    return codes


@transaction.atomic
def use_code(person: User, code: str) -> Authenticator | None:
    """Return whose code it is, the app's or one of the recovery codes, and use it up; None where it is neither."""
    person = _locked(person)
    factors = Authenticator.objects.filter(
        user=person, type__in=(Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES)
    )
    with secrets_of(person):
        found = next(
            (one for one in factors.order_by("-type") if one.wrap().validate_code(code)), None
        )
    if found is not None and found.type == Authenticator.Type.RECOVERY_CODES:
        found.refresh_from_db()
        _record(AuditTag.RECOVERY_CODE_USED, person, actor=acting(person))
        _tell(person, "used", found.type)
    return found


def _locked(person: User) -> User:
    return User.objects.select_for_update(no_key=True).get(pk=person.pk)


def _added(person: User, kind: str) -> list[str]:
    _record(AuditTag.SECOND_FACTOR_ADDED, person, actor=acting(person), kind=kind)
    _tell(person, "added", kind)
    has_codes = Authenticator.objects.filter(user=person, type=Authenticator.Type.RECOVERY_CODES)
    return [] if has_codes.exists() else _new_codes(person)


def _new_codes(person: User) -> list[str]:
    with secrets_of(person):
        codes: list[str] = RecoveryCodes.activate(person).generate_codes()
    return codes


def _record(tag: AuditTag, person: User, *, actor: Actor, kind: str = "", reason: str = "") -> None:
    facts: dict[str, Any] = {
        name: text for name, text in (("kind", kind), ("reason", reason)) if text
    }
    record_audit(tag, actor=actor, subject_kind="person", subject_id=person.id, **facts)


def _tell(person: User, what: str, kind: str) -> None:
    notify(person, NotificationKind.SECOND_FACTOR_CHANGED, what=what, factor=kind)
