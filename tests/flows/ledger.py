"""What the ledger says of a call, asked until the shipper has been there."""

import time
import uuid

from proxy.models import Adjustment, Call

WITHIN_S = 15.0


def find_call(request_id: str) -> Call:
    """Return the call's one row, without adjustments to it."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        row = Call.objects.filter(id=uuid.UUID(request_id)).first()
        if row is not None:
            assert not Adjustment.objects.filter(call_id=row.id).exists()
            return row
        time.sleep(0.05)
    raise AssertionError(f"Call {request_id} is not in the ledger after {WITHIN_S:g} s.")


def find_calls(key_id: uuid.UUID, *, count: int) -> list[Call]:
    """Return a key's rows, once there are `count`; more than that fail, also a moment later."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        rows = list(Call.objects.filter(key_id=key_id).order_by("id"))
        if len(rows) >= count:
            time.sleep(0.3)
            rows = list(Call.objects.filter(key_id=key_id).order_by("id"))
            break
        time.sleep(0.05)
    assert len(rows) == count, f"{len(rows)} rows for {count} calls"
    return rows
