"""Trust an issuer of workloads' tokens, and say how far. Its keys are fetched before, never within the transaction."""

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.audit import Actor, record_audit
from accounts.models import IssuerFetch, TrustedIssuer
from accounts.models.audit import AuditTag
from accounts.models.workload import URL_MAX, KeySource, SigningAlgorithm
from accounts.workload.fetch import IssuerSilent, check_authority, fetch_keys
from accounts.workload.jwks import read_jwks
from accounts.workload.spiffe import is_trust_domain
from accounts.writes.reasons import checked_reason
from portal.lib.clock import utc_now
from portal.lib.origin import Origin

Keys = list[dict[str, str]]
DEFAULT_ALGORITHMS = (SigningAlgorithm.RS256, SigningAlgorithm.ES256)


def find_keys(
    issuer: str,
    *,
    key_source: str,
    jwks_url: str = "",
    pasted_keys: str = "",
    certificate_authority: str = "",
) -> Keys:
    """Return the keys of an issuer, fetched or pasted, once its addresses are such as may be asked.

    Raises: ValidationError naming the field.
    """
    check_issuer_url(issuer)
    if key_source == KeySource.DISCOVERY and is_trust_domain(issuer):
        raise ValidationError(
            {
                "issuer": "A trust domain is not discovered: give its bundle, or the bundle's address."
            }
        )
    if certificate_authority:
        _naming("certificate_authority", check_authority, certificate_authority)
    if key_source == KeySource.PASTED:
        return pasted(pasted_keys)
    if pasted_keys:
        raise ValidationError({"pasted_keys": "Keys are pasted where they are not fetched."})
    if key_source == KeySource.JWKS_URL:
        _check_url(jwks_url, field="jwks_url")
    try:
        return fetch_keys(
            issuer,
            source=key_source,
            jwks_url=jwks_url,
            certificate_authority=certificate_authority,
        )
    except IssuerSilent as silent:
        field = "jwks_url" if key_source == KeySource.JWKS_URL else "issuer"
        raise ValidationError({field: f"Its keys cannot be fetched. {silent}"}) from None


def pasted(text: str) -> Keys:
    """Read keys that were brought by hand. Raises: ValidationError naming `pasted_keys`."""
    return list(_naming("pasted_keys", read_jwks, text))


@transaction.atomic
def add_issuer(
    name: str,
    *,
    issuer: str,
    key_source: KeySource,
    keys: Keys,
    audiences: Sequence[str],
    actor: Actor,
    algorithms: Sequence[str] = DEFAULT_ALGORITHMS,
    jwks_url: str = "",
    certificate_authority: str = "",
    max_token_age_s: int = 3600,
    is_open_to_teams: bool = True,
) -> TrustedIssuer:
    """Believe an issuer's tokens from now on, as far as rules go. The name in its tokens never changes.

    keys: what `find_keys` found. Raises: ValidationError naming the field.
    """
    check_issuer_url(issuer)
    made = TrustedIssuer(
        name=name,
        issuer=issuer,
        key_source=key_source,
        jwks_url=jwks_url if key_source == KeySource.JWKS_URL else "",
        certificate_authority=certificate_authority,
        algorithms=_checked_algorithms(algorithms),
        audiences=_checked_audiences(audiences),
        max_token_age_s=max_token_age_s,
        is_open_to_teams=is_open_to_teams,
        keys=keys,
    )
    made.full_clean()
    made.save()
    IssuerFetch.objects.create(issuer=made, fetched_at=utc_now(), tried_at=utc_now())
    record_audit(
        AuditTag.ISSUER_ADDED,
        actor=actor,
        subject_kind="issuer",
        subject_id=made.id,
        issuer=issuer,
        key_source=key_source,
        audiences=made.audiences,
        key_ids=key_ids(keys),
    )
    return made


@transaction.atomic
def change_issuer(
    issuer: TrustedIssuer, *, actor: Actor, keys: Keys | None = None, **wanted: Any
) -> None:
    """Change how far an issuer is believed; what is not named, or is None, stays. Changing nothing is not audited.

    wanted: audiences, algorithms, max_token_age_s, is_open_to_teams. keys: pasted anew.
    Raises: ValidationError naming the field.
    """
    issuer = TrustedIssuer.objects.select_for_update(no_key=True).get(pk=issuer.pk)
    if keys is not None and issuer.key_source != KeySource.PASTED:
        raise ValidationError({"pasted_keys": "The keys of this issuer are fetched."})
    if wanted.get("audiences") is not None:
        wanted["audiences"] = _checked_audiences(wanted["audiences"])
    if wanted.get("algorithms") is not None:
        wanted["algorithms"] = _checked_algorithms(wanted["algorithms"])
    wanted["keys"] = keys
    changed = [
        name
        for name, value in wanted.items()
        if value is not None and value != getattr(issuer, name)
    ]
    if not changed:
        return
    for name in changed:
        setattr(issuer, name, wanted[name])
    issuer.full_clean()
    issuer.save(update_fields=changed)
    record_audit(
        AuditTag.ISSUER_CHANGED,
        actor=actor,
        subject_kind="issuer",
        subject_id=issuer.id,
        changed=changed,
    )


@transaction.atomic
def replace_keys(issuer: TrustedIssuer, keys: Keys, *, actor: Actor) -> bool:
    """Keep what an issuer publishes now, all of it; return whether it differs from before.

    New and old keys stand side by side for as long as the issuer publishes both. One that it took back is gone.
    """
    issuer = TrustedIssuer.objects.select_for_update(no_key=True).get(pk=issuer.pk)
    if issuer.keys == keys:
        return False
    before, issuer.keys = key_ids(issuer.keys), keys
    issuer.save(update_fields=["keys"])
    record_audit(
        AuditTag.ISSUER_KEYS_REPLACED,
        actor=actor,
        subject_kind="issuer",
        subject_id=issuer.id,
        old_key_ids=before,
        key_ids=key_ids(keys),
    )
    return True


@transaction.atomic
def disable_issuer(issuer: TrustedIssuer, *, actor: Actor, reason: str) -> None:
    """Refuse every token of the issuer until it is enabled again. Disabling twice keeps the first reason."""
    reason = checked_reason(reason, act="the issuer is disabled")
    issuer = TrustedIssuer.objects.select_for_update(no_key=True).get(pk=issuer.pk)
    if issuer.disabled_at is not None:
        return
    issuer.disabled_at = utc_now()
    issuer.save(update_fields=["disabled_at"])
    record_audit(
        AuditTag.ISSUER_DISABLED,
        actor=actor,
        subject_kind="issuer",
        subject_id=issuer.id,
        reason=reason,
    )


@transaction.atomic
def enable_issuer(issuer: TrustedIssuer, *, actor: Actor) -> None:
    """Believe the issuer's tokens again."""
    issuer = TrustedIssuer.objects.select_for_update(no_key=True).get(pk=issuer.pk)
    if issuer.disabled_at is None:
        return
    issuer.disabled_at = None
    issuer.save(update_fields=["disabled_at"])
    record_audit(AuditTag.ISSUER_ENABLED, actor=actor, subject_kind="issuer", subject_id=issuer.id)


def key_ids(keys: Sequence[dict[str, str]]) -> list[str]:
    """What the keys are called; they are public."""
    return [key.get("kid", "") for key in keys]


def check_issuer_url(issuer: str) -> None:
    """Refuse a name that is neither an https address without query nor a SPIFFE trust domain. Raises: ValidationError."""
    if not is_trust_domain(issuer):
        _check_url(issuer, field="issuer")


def _check_url(url: str, *, field: str) -> None:
    if len(url) > URL_MAX:
        raise ValidationError({field: f"At most {URL_MAX} characters."})
    try:
        origin, _ = Origin.from_url(url)
    except ValueError as error:
        raise ValidationError({field: str(error).replace("The base URL", "The address")}) from None
    if origin.scheme != "https":
        # Whoever stands on the way could give keys of their own.
        raise ValidationError({field: "The address starts with https://."})


def _checked_audiences(audiences: Sequence[str]) -> list[str]:
    kept = list(dict.fromkeys(one.strip() for one in audiences if one.strip()))
    if not kept or not all(map(str.isprintable, kept)):
        raise ValidationError(
            {"audiences": "Name at least one audience that means this portal alone."}
        )
    return kept


def _checked_algorithms(algorithms: Sequence[str]) -> list[str]:
    kept = [one for one in SigningAlgorithm.values if one in set(algorithms)]
    if not kept or len(kept) < len(set(algorithms)):
        raise ValidationError(
            {
                "algorithms": f"Choose of {', '.join(SigningAlgorithm.values)}; shared secrets are none."
            }
        )
    return kept


def _naming(field: str, check: Any, text: str) -> Any:
    try:
        return check(text)
    except ValueError as error:
        raise ValidationError({field: str(error)}) from None
