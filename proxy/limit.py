"""Step 4: take the call's worst case out of every window that applies, or refuse before anything is spent."""

import math

from proxy.call import CallKind
from proxy.errors import Code, Refusal
from proxy.exchange import Allowance, Headers, ParsedCall, Usage, WorstCase
from proxy.leases.book import LeaseBook
from proxy.leases.held import Held
from proxy.leases.refusals import LimitReached, StoreAway
from proxy.leases.window import Measure, Standing, Window
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
    if route.kind != CallKind.CHAT:
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
        self, windows: tuple[Window, ...], call: ParsedCall, route: Route
    ) -> Allowance:
        """Take one call and its worst case in tokens out of each window. Two calls racing for the last token cannot both win.

        windows: the key's two first, then the grant's.
        Raises: Refusal limit_reached (429), limits_unavailable (503).
        """
        worst = worst_case(call, route)
        wants = [(window, 1 if _is_of_calls(window) else worst.total) for window in windows]
        held = self._book.try_reserve(wants)
        if held is None:
            held = await self._borrow(wants, tokens=worst.total)
        return Allowance(held, worst)

    async def take_call(self, windows: tuple[Window, ...]) -> None:
        """Take one call and no tokens out of the key's windows, for what is answered without an upstream. Raises: Refusal."""
        calls = [(window, 1) for window in windows if _is_of_calls(window)]
        held = self._book.try_reserve(calls) or await self._borrow(calls, tokens=0)
        self._book.settle(held, [1] * len(calls))

    def refuse_spent(self, windows: tuple[Window, ...]) -> None:
        """Refuse whoever is known to have no call left, before more is done for them. Raises: Refusal limit_reached."""
        try:
            self._book.check([(window, 1) for window in windows if _is_of_calls(window)])
        except LimitReached as reached:
            raise _refused(reached, wanted=0) from None

    def settle(self, allowance: Allowance, usage: Usage) -> None:
        """The call counts whole; of the tokens only what was used."""
        self._book.settle(allowance.held, _amounts(allowance.held, 1, usage.total))

    def release(self, allowance: Allowance) -> None:
        """Give everything back: the call never reached an upstream."""
        self._book.settle(allowance.held, _amounts(allowance.held, 0, 0))

    def headers(self, windows: tuple[Window, ...]) -> Headers:
        """The fields that OpenAI's clients read, of whichever window leaves least; figures are this process's best knowledge."""
        calls = self._book.standing(windows[0])
        tokens = self._book.standing(windows[1])
        for window in windows[2:]:
            standing = self._book.standing(window)
            if not _is_of_calls(window):
                tokens = min(tokens, standing, key=_remaining)
            else:
                calls = min(calls, standing, key=_remaining)
        return [
            (b"x-ratelimit-limit-requests", b"%d" % calls.limit),
            (b"x-ratelimit-remaining-requests", b"%d" % calls.remaining),
            (b"x-ratelimit-reset-requests", b"%ds" % math.ceil(calls.reset_s)),
            (b"x-ratelimit-limit-tokens", b"%d" % tokens.limit),
            (b"x-ratelimit-remaining-tokens", b"%d" % tokens.remaining),
            (b"x-ratelimit-reset-tokens", b"%ds" % math.ceil(tokens.reset_s)),
        ]

    async def _borrow(self, wants: list[tuple[Window, int]], *, tokens: int) -> Held:
        try:
            return await self._book.reserve(wants)
        except LimitReached as reached:
            raise _refused(reached, wanted=tokens) from None
        except StoreAway as away:
            raise Refusal(Code.LIMITS_UNAVAILABLE, retry_after_s=away.retry_after_s) from None


def _is_of_calls(window: Window) -> bool:
    return window.measure is Measure.REQUESTS


def _remaining(standing: Standing) -> int:
    return standing.remaining


def _amounts(held: Held, calls: int, tokens: int) -> list[int]:
    """What each part held is settled to."""
    return [calls if _is_of_calls(part.share.window) else tokens for part in held.parts]


def _refused(reached: LimitReached, *, wanted: int) -> Refusal:
    is_requests = _is_of_calls(reached.window)
    unit = "calls" if is_requests else "tokens"
    whose = (
        "This API key"
        if reached.window.key.startswith("key:")
        else "The grant of this model, with all its keys,"
    )
    need = "" if is_requests else f" This call may need up to {wanted}."
    never = "" if reached.retry_after_s is not None else " It can never fit; ask for less output."
    return Refusal(
        Code.LIMIT_REACHED,
        param=f"{unit}_per_minute",
        seen=f"{whose} may use {reached.limit} {unit} a minute; {reached.remaining} are left now.{need}{never}",
        retry_after_s=reached.retry_after_s,
    )
