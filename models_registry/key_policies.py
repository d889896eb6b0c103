"""What a class of data asks of the keys by which it can be reached."""

import datetime
from collections.abc import Mapping

from accounts.models import ApiKey
from models_registry.key_models import models_of_key


def days_for(key: ApiKey, policy: Mapping[str, int], *, now: datetime.datetime) -> int | None:
    """Return the days that a policy allows the key: the fewest of the classes of data whose models it can call.

    A key that can call nothing has the most that any class allows. None where the policy says nothing of its classes.
    """
    if not policy:
        return None
    classes = set(models_of_key(key, now=now).values_list("data_class", flat=True).order_by())
    if not classes:
        return max(policy.values())
    days = [policy[data_class] for data_class in classes if data_class in policy]
    return min(days, default=None)
