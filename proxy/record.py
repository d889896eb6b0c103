"""Step 9: what happened, into the journal: once when the call is let in, once when it is over."""

import logging
import time

import msgspec

from portal.lib.clock import unix_us
from proxy.call import CallStatus
from proxy.errors import Code, Refusal
from proxy.exchange import Head, ParsedCall, Usage
from proxy.journal.journal import Journal, JournalFull
from proxy.journal.records import Admission, End
from proxy.meter import cost_micro_usd
from proxy.principal import Principal
from proxy.refusal_log import RefusalLog
from proxy.refusal_rows import RefusalRows
from proxy.route import Price, Route

_log = logging.getLogger("latchkey.calls")
_FREE = Price(0, 0, 0)
FULL_SHOWN_S = 5.0


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a call came out."""

    status: CallStatus
    http_status: int
    code: str = ""
    usage: Usage = Usage()
    sent_upstream_ns: int = 0
    first_byte_ns: int = 0
    answered_ns: int = 0
    attempts: int = 0
    answer_bytes: int = 0
    detail: str = ""


class Recorder:
    """Writes calls to the journal, and the ones an operator asked for to the log, without prompts and secrets."""

    def __init__(self, journal: Journal, *, call_log: str) -> None:
        self._journal = journal
        self._call_log = call_log
        self._refusals = RefusalLog()
        self._rows = RefusalRows()
        self._full_at = float("-inf")

    @property
    def is_recording(self) -> bool:
        """False for some seconds after a call was refused because its record had no room."""
        return time.monotonic() - self._full_at > FULL_SHOWN_S

    def admit(
        self,
        head: Head,
        principal: Principal,
        call: ParsedCall,
        route: Route,
        *,
        reserved_tokens: int,
    ) -> None:
        """Journal that the call is let in. Raises: Refusal journal_full, before any upstream is called."""
        try:
            self._journal.admit(_admission(head, principal, call, route, reserved_tokens))
        except JournalFull:
            self._full_at = time.monotonic()
            raise Refusal(Code.JOURNAL_FULL, retry_after_s=5) from None

    def end(self, head: Head, route: Route, outcome: Outcome) -> None:
        """Journal that an admitted call is over; its row in the ledger says this and nothing else."""
        self._journal.end(_end(head, outcome, route.price))
        self._tell(head, outcome)

    def note(
        self,
        head: Head,
        principal: Principal,
        outcome: Outcome,
        *,
        call: ParsedCall | None,
        route: Route | None,
    ) -> bool:
        """Journal a call of a known caller that went nowhere: refused, or answered from memory.

        A full journal cannot stop it. Returns: False where it is not in the journal, for want of room or because the
        key has had many refusals lately, which are then counted.
        """
        is_answered = outcome.status is CallStatus.ANSWERED
        if not is_answered and not self._rows.take(principal.credential_id, outcome.code):
            return False
        try:
            self._journal.refuse(
                _admission(head, principal, call, route, 0), _end(head, outcome, _FREE)
            )
        except JournalFull:
            _log.warning("A call is not in the journal: it is full.")
            return False
        self._tell(head, outcome)
        return True

    def tell_refusal(self, request_id: str, refusal: Refusal) -> None:
        """Log that a call was refused. For one that is not in the journal this is all that remains of it."""
        if self._call_log != "none":
            self._refusals.tell(request_id, refusal)

    def close(self) -> None:
        """Tell of what was only counted."""
        self._rows.sum_up()

    def _tell(self, head: Head, outcome: Outcome) -> None:
        """Refusals are told at the door, with those of strangers; this tells of the rest."""
        is_failure = outcome.status not in (CallStatus.ANSWERED, CallStatus.REFUSED)
        if self._call_log == "all" or (self._call_log == "failures" and is_failure):
            _log.log(
                logging.WARNING if outcome.status is CallStatus.FAILED else logging.INFO,
                "A call is over.",
                extra={
                    "request_id": head.request_id,
                    "kind": head.kind.value,
                    "status": outcome.status.value,
                    "http_status": outcome.http_status,
                    "code": outcome.code,
                    "detail": outcome.detail,
                    "duration_ms": (time.perf_counter_ns() - head.started_ns) // 1_000_000,
                },
            )


def _admission(
    head: Head,
    principal: Principal,
    call: ParsedCall | None,
    route: Route | None,
    reserved_tokens: int,
) -> Admission:
    price = _FREE if route is None else route.price
    who, where = principal.journal_ids, None if route is None else route.journal_ids
    return Admission(
        call_id=head.call_id,
        admitted_at_us=unix_us(),
        team_id=who.team,
        key_id=who.key,
        service_account_id=who.service_account,
        person_id=who.person,
        model_id=where.model if where else None,
        deployment_id=where.deployment if where else None,
        provider_id=where.provider if where else None,
        kind=head.kind,
        stream=call is not None and call.stream,
        peer=head.peer,
        request_id=head.request_id,
        reserved_tokens=reserved_tokens,
        price_input_micro_usd_per_million=price.input,
        price_cached_micro_usd_per_million=price.cached_input,
        price_output_micro_usd_per_million=price.output,
        purpose=principal.purpose,
        price_reasoning_micro_usd_per_million=price.reasoning,
        price_audio_input_micro_usd_per_million=price.audio_input,
        price_audio_output_micro_usd_per_million=price.audio_output,
        by_previous_secret=principal.by_previous_secret,
    )


def _end(head: Head, outcome: Outcome, price: Price) -> End:
    usage = outcome.usage
    sent, answered = outcome.sent_upstream_ns, outcome.answered_ns
    return End(
        call_id=head.call_id,
        status=outcome.status,
        http_status=outcome.http_status,
        code=outcome.code,
        input_tokens=usage.input_tokens,
        cached_tokens=usage.cached_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        usage_estimated=usage.estimated,
        cost_micro_usd=cost_micro_usd(usage, price),
        duration_us=_us(head.started_ns, time.perf_counter_ns()),
        upstream_us=_us(sent, answered),
        first_byte_us=_us(sent, outcome.first_byte_ns),
        attempts=outcome.attempts,
        answer_bytes=outcome.answer_bytes,
        input_audio_tokens=usage.input_audio_tokens,
        output_audio_tokens=usage.output_audio_tokens,
    )


def _us(start_ns: int, end_ns: int) -> int:
    """Microseconds between two moments, 0 where one of them never came."""
    return (end_ns - start_ns) // 1000 if start_ns and end_ns >= start_ns else 0
