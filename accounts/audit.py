"""The one door to the audit trail."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from django.db import transaction

from accounts.models import AuditEntry, User
from accounts.models.audit import ActorKind, AuditTag
from portal.lib.redaction import redact

Fact = str | int | bool | None | list[str]


@dataclass(frozen=True)
class Actor:
    """Who acts. A command on the host has no id of its own.

    second: who confirmed what this one proposed, where it takes two.
    """

    kind: ActorKind
    id: uuid.UUID | None = None
    second: "Actor | None" = None

    def everybody(self) -> "Iterator[Actor]":
        """Whoever has to be allowed to do it."""
        yield self
        if self.second is not None:
            yield from self.second.everybody()

    @property
    def needs_second(self) -> bool:
        """Whether this is one person alone. A command on the host, and the system, answer for themselves."""
        return self.kind == ActorKind.PERSON and self.second is None


COMMAND = Actor(ActorKind.COMMAND)
SYSTEM = Actor(ActorKind.SYSTEM)


def acting(person: User) -> Actor:
    return Actor(ActorKind.PERSON, person.id)


def record_audit(
    tag: AuditTag,
    *,
    actor: Actor,
    subject_kind: str,
    subject_id: uuid.UUID | None,
    team_id: uuid.UUID | None = None,
    **facts: Fact,
) -> None:
    """Append one entry in the writer's transaction, so that no act can happen that its audit does not record.

    facts: ids and plain values that explain the act; never a secret, an e-mail address or a name of a person.
    Raises: RuntimeError outside a transaction.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("audit entries are written in the transaction of the act they record")
    if actor.second is not None:
        facts["confirmed_by"] = str(actor.second.id or actor.second.kind.value)
    AuditEntry.objects.create(
        tag=tag,
        actor_kind=actor.kind,
        actor_id=actor.id,
        team_id=team_id,
        subject_kind=subject_kind,
        subject_id=subject_id,
        facts={name: _plain(value) for name, value in facts.items()},
    )


def _plain(value: Fact) -> Fact:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        return [redact(item) for item in value]
    return value
