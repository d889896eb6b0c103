"""End sessions of signed-in people, one or all but one."""

from importlib import import_module

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.db import transaction

from accounts.audit import Actor, record_audit
from accounts.models import User
from accounts.models.audit import AuditTag


@transaction.atomic
def end_session(session: UserSession, *, actor: Actor) -> None:
    """Sign the person out where this session runs. Ending it twice writes nothing more."""
    if not UserSession.objects.filter(pk=session.pk).delete()[0]:
        return
    _forget(session)
    _record(session.user_id, actor=actor, ended=1)


@transaction.atomic
def end_sessions(person: User, *, actor: Actor, but: str = "") -> None:
    """Sign the person out everywhere but in the session of that key."""
    sessions = UserSession.objects.select_for_update().filter(user=person).exclude(session_key=but)
    found = list(sessions)
    for session in found:
        _forget(session)
        session.delete()
    if found:
        _record(person.pk, actor=actor, ended=len(found))


def _forget(session: UserSession) -> None:
    import_module(settings.SESSION_ENGINE).SessionStore().delete(session.session_key)


def _record(person_id: object, *, actor: Actor, ended: int) -> None:
    record_audit(
        AuditTag.SESSIONS_ENDED,
        actor=actor,
        subject_kind="person",
        subject_id=person_id,  # type: ignore[arg-type]
        ended=ended,
    )
