"""Second factors are set up, used up and taken away: each audited, told by mail, and sealed for one person."""

import time

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import (
    format_hotp_value,
    generate_totp_secret,
    hotp_value,
)
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command

from accounts.audit import acting
from accounts.mail.write import write_mail
from accounts.models import AuditEntry, Notification, User
from accounts.models.audit import AuditTag
from accounts.models.notifications import NotificationKind
from accounts.second_factors import has_second_factor, second_factors_of
from accounts.signing_in.factor_adapter import FactorAdapter, secrets_of
from accounts.writes.second_factors import (
    add_totp,
    remove_all_factors,
    remove_factor,
    replace_recovery_codes,
    use_code,
)
from portal.lib.crypto import SealBroken
from tests.accounts.rows import REASON, new_person
from tests.accounts.second_factor import code_of, person_with_app

pytestmark = pytest.mark.django_db


def entries_of(person: User) -> list[tuple[str, dict[str, object]]]:
    rows = AuditEntry.objects.filter(subject_id=person.pk).exclude(tag=AuditTag.PERSON_CREATED)
    return [(row.tag, row.facts) for row in rows.order_by("id")]


def told(person: User) -> list[str]:
    rows = Notification.objects.filter(kind=NotificationKind.SECOND_FACTOR_CHANGED, person=person)
    return [write_mail(row).text.splitlines()[0] for row in rows.order_by("created_at", "pk")]


def test_app_is_set_up_by_a_code_with_an_entry_a_mail_and_codes_once() -> None:
    person, secret = new_person(), generate_totp_secret()
    codes = add_totp(person, secret=secret, code=code_of(secret))
    assert has_second_factor(person)
    assert len(set(codes)) == 10
    assert all(len(code) == 12 for code in codes)
    assert entries_of(person) == [(AuditTag.SECOND_FACTOR_ADDED, {"kind": "totp"})]
    assert told(person) == ["An authenticator app was set up for you."]
    with pytest.raises(ValidationError, match="already"):
        add_totp(person, secret=secret, code=code_of(secret))


@pytest.mark.parametrize("wrong", ["", "000000000", "abcdef", "-1", "12345"])
def test_app_that_shows_another_code_is_not_set_up(wrong: str) -> None:
    person = new_person()
    with pytest.raises(ValidationError):
        add_totp(person, secret=generate_totp_secret(), code=wrong)
    assert not Authenticator.objects.filter(user=person).exists()
    assert not entries_of(person)


def test_secrets_are_sealed_and_open_for_their_owner_alone() -> None:
    person, secret = person_with_app()
    other, _ = person_with_app()
    rows = {row.type: row.data for row in Authenticator.objects.filter(user=person)}
    assert secret not in str(rows)
    sealed = rows["totp"]["secret"]
    with secrets_of(person):
        assert FactorAdapter().decrypt(sealed) == secret
    with secrets_of(other), pytest.raises(SealBroken):
        FactorAdapter().decrypt(sealed)
    with pytest.raises(LookupError):
        FactorAdapter().decrypt(sealed)


def test_secret_moved_into_another_persons_row_opens_nothing() -> None:
    victim, _ = person_with_app()
    thief, secret = person_with_app()
    stolen = Authenticator.objects.get(user=thief, type="totp")
    Authenticator.objects.filter(user=victim, type="totp").update(data=stolen.data)
    with pytest.raises(SealBroken):
        use_code(victim, code_of(secret))


def test_code_of_the_app_counts_once() -> None:
    person, secret = person_with_app()
    cache.clear()
    assert use_code(person, "000000000") is None
    found = use_code(person, code_of(secret))
    assert found is not None
    assert found.type == "totp"
    assert use_code(person, code_of(secret)) is None
    old = format_hotp_value(hotp_value(secret, int(time.time()) // 30 - 5))
    assert use_code(person, old) is None


def test_recovery_code_counts_once_with_an_entry_and_a_mail() -> None:
    person, _ = person_with_app()
    codes = replace_recovery_codes(person)
    found = use_code(person, codes[3])
    assert found is not None
    assert found.type == "recovery_codes"
    assert use_code(person, codes[3]) is None
    assert use_code(person, codes[4]) is not None
    assert [tag for tag, _ in entries_of(person)].count(AuditTag.RECOVERY_CODE_USED) == 2
    assert told(person).count("One of your recovery codes was used.") == 2


def test_new_recovery_codes_end_the_old_ones() -> None:
    person, _ = person_with_app()
    first, second = replace_recovery_codes(person), replace_recovery_codes(person)
    assert not set(first) & set(second)
    assert use_code(person, first[0]) is None
    assert use_code(person, second[0]) is not None
    assert entries_of(person)[-2][0] == AuditTag.RECOVERY_CODES_REPLACED
    with pytest.raises(ValidationError):
        replace_recovery_codes(new_person())


def test_last_factor_takes_the_recovery_codes_along() -> None:
    person, _ = person_with_app()
    codes = replace_recovery_codes(person)
    factor = second_factors_of(person).get()
    for _ in range(2):
        remove_factor(factor, actor=acting(person))
    assert not Authenticator.objects.filter(user=person).exists()
    assert use_code(person, codes[0]) is None
    removed = [facts for tag, facts in entries_of(person) if tag == AuditTag.SECOND_FACTOR_REMOVED]
    assert removed == [{"kind": "totp"}]
    assert told(person)[-1] == "Your authenticator app was removed."


def test_somebody_else_takes_factors_away_with_a_reason_alone() -> None:
    person, _ = person_with_app()
    administrator = new_person(is_administrator=True)
    with pytest.raises(ValidationError):
        remove_all_factors(person, actor=acting(administrator), reason=" ")
    assert has_second_factor(person)
    remove_all_factors(person, actor=acting(administrator), reason=REASON)
    assert not has_second_factor(person)
    entry = AuditEntry.objects.get(tag=AuditTag.SECOND_FACTOR_REMOVED, subject_id=person.pk)
    assert (entry.actor_id, entry.facts) == (administrator.pk, {"kind": "totp", "reason": REASON})


def test_command_takes_factors_away() -> None:
    person, _ = person_with_app()
    call_command("remove_second_factors", person.email.upper(), "--reason", REASON)
    assert not has_second_factor(person)
    with pytest.raises(CommandError, match="Nobody"):
        call_command("remove_second_factors", "nobody@latchkey.test", "--reason", REASON)
