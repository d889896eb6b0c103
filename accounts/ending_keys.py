"""Keys that end soon: a person is told of their own, a team's owners and managers of its service accounts'."""

import datetime
from collections.abc import Iterator

from django.db.models import Q

from accounts.key_facts import facts_of
from accounts.models import ApiKey
from accounts.models.notifications import NotificationKind
from accounts.reminders import FIRST_WARNING, Ending, in_chunks, keepers_of, tell_of_endings
from portal.lib.clock import utc_now


def tell_of_ending_keys() -> int:
    """Warn of the ends of keys that still work; return how many mails that makes."""
    now = utc_now()
    return tell_of_endings(_endings(now), now=now)


def _endings(now: datetime.datetime) -> Iterator[Ending]:
    ending = ApiKey.objects.select_related("team", "service_account", "person").filter(
        Q(service_account=None) | Q(service_account__disabled_at=None),
        expires_at__gt=now,
        expires_at__lte=now + FIRST_WARNING,
        revoked_at=None,
        disabled_at=None,
        team__disabled_at=None,
    )
    for keys in in_chunks(ending.order_by("pk")):
        keepers = keepers_of({key.team_id for key in keys if key.person is None})
        for key in keys:
            yield Ending(
                id=key.pk,
                kind=NotificationKind.KEY_ENDING,
                since=key.created_at,
                ends_at=key.expires_at,
                team_id=key.team_id if key.person is None else None,
                told=keepers[key.team_id] if key.person is None else [key.person],
                facts={**facts_of(key)},
            )
