"""Step 4: take the call's worst case out of every window that applies, or refuse before anything is spent."""

import math

from proxy.call import CallKind
from proxy.errors import Code, Refusal
from proxy.exchange import Allowance, Headers, ParsedCall, Usage, WorstCase
from proxy.leases.book import LeaseBook
from proxy.leases.refusals import LimitReached, StoreAway
from proxy.leases.window import Window
from proxy.route import Route

OVERHEAD_TOKENS = 32


def worst_case(call: ParsedCall, route: Route) -> WorstCase:
    """Bound the call's tokens from above, from what is counted here and never from the caller's claim.

    Raises: Refusal context_exceeded when the output asked for cannot fit the model at all.
    """
    context = route.context_tokens * call.inputs
    factor = max(1.0, route.tokens_per_byte) if call.counts_tokens_itself else route.tokens_per_byte
    by_size = math.ceil(call.counted_bytes * factor) + OVERHEAD_TOKENS
    prompt = context if call.reaches_out else min(context, by_size)
    if route.kind != CallKind.CHAT.value:
        return WorstCase(prompt, 0, 0)
    if call.output_cap is not None and call.output_cap > route.context_tokens:
        raise Refusal(
            Code.CONTEXT_EXCEEDED,
            param="max_tokens",
            seen=f"The context holds {route.context_tokens} tokens.",
        )
    cap = min(call.output_cap or route.max_output_tokens, route.max_output_tokens)
    return WorstCase(prompt, cap, cap * call.choices)


class Limiter:
    """Reserves and settles through the lease book."""

    def __init__(self, book: LeaseBook) -> None:
        self._book = book

    async def reserve(
        self, windows: tuple[Window, Window], call: ParsedCall, route: Route
    ) -> Allowance:
        """Take one call and its worst case in tokens. Two calls racing for the last token cannot both win.

        Raises: Refusal limit_reached (429), limits_unavailable (503).
        """
        worst = worst_case(call, route)
        wants = ((windows[0], 1), (windows[1], worst.total))
        held = self._book.try_reserve(wants)
        if held is None:
            try:
                held = await self._book.reserve(wants)
            except LimitReached as reached:
                raise _refused(reached, wanted=worst.total) from None
            except StoreAway as away:
                raise Refusal(Code.LIMITS_UNAVAILABLE, retry_after_s=away.retry_after_s) from None
        return Allowance(held, worst)

    def settle(self, allowance: Allowance, usage: Usage) -> None:
        """The call counts whole; of the tokens only what was used."""
        self._book.settle(allowance.held, (1, usage.total))

    def release(self, allowance: Allowance) -> None:
        """Give everything back: the call never reached an upstream."""
        self._book.settle(allowance.held, (0, 0))

    def headers(self, windows: tuple[Window, Window]) -> Headers:
        """The fields that OpenAI's clients read; figures are this process's best knowledge."""
        calls = self._book.standing(windows[0])
        tokens = self._book.standing(windows[1])
        return [
            (b"x-ratelimit-limit-requests", b"%d" % calls.limit),
            (b"x-ratelimit-remaining-requests", b"%d" % calls.remaining),
            (b"x-ratelimit-reset-requests", b"%ds" % math.ceil(calls.reset_s)),
            (b"x-ratelimit-limit-tokens", b"%d" % tokens.limit),
            (b"x-ratelimit-remaining-tokens", b"%d" % tokens.remaining),
            (b"x-ratelimit-reset-tokens", b"%ds" % math.ceil(tokens.reset_s)),
        ]


def _refused(reached: LimitReached, *, wanted: int) -> Refusal:
    is_requests = reached.window.key.endswith(":requests")
    unit = "calls" if is_requests else "tokens"
    need = "" if is_requests else f" This call may need up to {wanted}."
    never = "" if reached.retry_after_s is not None else " It can never fit; ask for less output."
    return Refusal(
        Code.LIMIT_REACHED,
        param=f"{unit}_per_minute",
        seen=f"It allows {reached.limit} {unit} a minute; {reached.remaining} are left now.{need}{never}",
        retry_after_s=reached.retry_after_s,
    )
