from django.contrib.auth.password_validation import validate_password
from django.db import transaction

from accounts.audit import Actor, record_audit
from accounts.models import User
from accounts.models.audit import AuditTag


@transaction.atomic
def create_person(
    email: str, *, password: str, actor: Actor, name: str = "", is_administrator: bool = False
) -> User:
    """Make a person who can sign in; an administrator also opens the admin.

    Raises: ValidationError for a weak password or an address that is taken or no address.
    """
    person = User(email=email.strip().lower(), name=name)
    validate_password(password, person)
    person.is_staff = person.is_superuser = is_administrator
    person.set_password(password)
    person.full_clean()
    person.save()
    record_audit(
        AuditTag.PERSON_CREATED,
        actor=actor,
        subject_kind="person",
        subject_id=person.id,
        is_administrator=is_administrator,
    )
    return person
