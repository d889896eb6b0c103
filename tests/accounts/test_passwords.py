import pytest
from django.contrib.auth.tokens import default_token_generator
from django.core.exceptions import ValidationError
from django.test import Client

from accounts.audit import COMMAND
from accounts.models import AuditEntry, Notification
from accounts.models.audit import AuditTag
from accounts.models.notifications import NotificationKind
from accounts.writes.people import ask_for_reset, change_password, disable_person
from tests.accounts.rows import PASSWORD, REASON, new_name, new_person

pytestmark = pytest.mark.django_db
ANOTHER = "quite another passphrase"


def test_reset_is_mailed_to_the_person_and_to_nobody_else() -> None:
    person, disabled = new_person(), new_person()
    disable_person(disabled, actor=COMMAND, reason=REASON)
    stranger = f"{new_name('nobody')}@latchkey.test"
    for email in (f" {person.email.upper()} ", disabled.email, stranger, "", "no address", "%"):
        ask_for_reset(email)
    mail = Notification.objects.get(kind=NotificationKind.PASSWORD_RESET)
    assert (mail.person, mail.email, mail.facts) == (person, person.email, {})


@pytest.mark.parametrize("through", ["page", "reset"])
def test_new_password_ends_every_session_and_is_audited(through: str) -> None:
    person = new_person()
    client = Client()
    client.force_login(person)
    assert "Sign out" in client.get("/").content.decode()
    token = default_token_generator.make_token(person)
    change_password(person, password=ANOTHER, through=through, token=token)  # type: ignore[arg-type]
    assert "Sign out" not in client.get("/").content.decode()
    person.refresh_from_db()
    assert person.check_password(ANOTHER)
    entry = AuditEntry.objects.get(tag=AuditTag.PASSWORD_CHANGED, subject_id=person.pk)
    assert (entry.actor_id, entry.facts) == (person.pk, {"through": through})


def test_reset_takes_its_own_token_once() -> None:
    person = new_person()
    token = default_token_generator.make_token(person)
    others = default_token_generator.make_token(new_person())
    for wrong in ("", others, token[:-1]):
        with pytest.raises(ValidationError):
            change_password(person, password=ANOTHER, through="reset", token=wrong)
    change_password(person, password=ANOTHER, through="reset", token=token)
    with pytest.raises(ValidationError):
        change_password(person, password=PASSWORD, through="reset", token=token)


def test_weak_password_is_refused_and_changes_nothing() -> None:
    person = new_person()
    for weak in ("", "short", person.email):
        with pytest.raises(ValidationError):
            change_password(person, password=weak, through="page")
    person.refresh_from_db()
    assert person.check_password(PASSWORD)
