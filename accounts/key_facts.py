"""Who looks after a key, and what mails tell of it."""

from accounts.models import ApiKey, User
from accounts.reminders import keepers_of


def told_of(key: ApiKey) -> list[User]:
    """Who looks after a key: the person it is of, or who manages the keys of a service account's team."""
    return [key.person] if key.person is not None else keepers_of({key.team_id})[key.team_id]


def facts_of(key: ApiKey) -> dict[str, str]:
    """What a mail about a key tells of it."""
    return {
        "key_id": str(key.pk),
        "key": key.name,
        "public_id": key.public_id,
        "team": key.team.name,
        "holder": "" if key.service_account is None else key.service_account.name,
    }
