"""A call as it is known now: its row in the ledger with the adjustments that came after it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from proxy.call import CallStatus
from proxy.models import Adjustment, Call
from proxy.usage.summary import Holder


@dataclass(frozen=True)
class ToldCall:
    """The call with its corrected figures; `call` itself holds what was written first."""

    call: Call
    adjustments: tuple[Adjustment, ...] = ()

    @property
    def last(self) -> Call | Adjustment:
        return self.adjustments[-1] if self.adjustments else self.call

    @property
    def status(self) -> str:
        return self.last.status

    @property
    def http_status(self) -> int:
        return self.last.http_status

    @property
    def code(self) -> str:
        return self.last.code

    @property
    def usage_estimated(self) -> bool:
        return self.last.usage_estimated

    @property
    def input_tokens(self) -> int:
        return self._sum("input_tokens")

    @property
    def cached_tokens(self) -> int:
        return self._sum("cached_tokens")

    @property
    def output_tokens(self) -> int:
        return self._sum("output_tokens")

    @property
    def reasoning_tokens(self) -> int:
        return self._sum("reasoning_tokens")

    @property
    def input_audio_tokens(self) -> int:
        return self._sum("input_audio_tokens")

    @property
    def output_audio_tokens(self) -> int:
        return self._sum("output_audio_tokens")

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def cost_micro_usd(self) -> int:
        return self._sum("cost_micro_usd")

    @property
    def duration_us(self) -> int:
        return self._sum("duration_us")

    @property
    def answer_bytes(self) -> int:
        return self._sum("answer_bytes")

    @property
    def holder(self) -> Holder:
        return Holder(self.call.service_account_id, self.call.person_id)

    def _sum(self, name: str) -> int:
        return sum(int(getattr(told, name)) for told in (self.call, *self.adjustments))


def tell(calls: Sequence[Call]) -> list[ToldCall]:
    """Return the calls with what became known of them. Only what stands as interrupted is ever corrected."""
    open_ids = [call.pk for call in calls if call.status == CallStatus.INTERRUPTED]
    adjustments = defaultdict[object, list[Adjustment]](list)
    for found in Adjustment.objects.filter(call_id__in=open_ids).order_by("id") if open_ids else ():
        adjustments[found.call_id].append(found)
    return [ToldCall(call, tuple(adjustments[call.pk])) for call in calls]
