"""Step 4: take the call's worst case out of every window that applies, or refuse before anything is spent."""

from math import ceil

import msgspec

from proxy.call import CallKind
from proxy.errors import Code, Refusal
from proxy.exchange import Allowance, Headers, ParsedCall, Usage, WorstCase
from proxy.leases.book import LeaseBook
from proxy.leases.held import Held
from proxy.leases.refusals import LimitReached, StoreAway
from proxy.leases.window import Standing, Window
from proxy.limit_plan import Plan
from proxy.limit_texts import limit_refusal
from proxy.meter import cost_micro_usd, worst_cost_micro_usd
from proxy.route import Price, Route

OVERHEAD_TOKENS = 32
_OF_CALLS = (
    b"x-ratelimit-limit-requests",
    b"x-ratelimit-remaining-requests",
    b"x-ratelimit-reset-requests",
)
_OF_TOKENS = (
    b"x-ratelimit-limit-tokens",
    b"x-ratelimit-remaining-tokens",
    b"x-ratelimit-reset-tokens",
)


def worst_case(call: ParsedCall, route: Route) -> WorstCase:
    """Bound the call's tokens from above, from what is counted here and never from the caller's claim.

    Raises: Refusal context_exceeded when the output asked for cannot fit the model at all.
    """
    context = route.context_tokens * call.inputs
    factor = max(1.0, route.tokens_per_byte) if call.counts_tokens_itself else route.tokens_per_byte
    by_size = ceil(call.counted_bytes * factor) + OVERHEAD_TOKENS
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


class Demand(msgspec.Struct, frozen=True, gc=False):
    """What one call wants of each window, and the worst case that it is reckoned from; see Allowance for the rest."""

    wants: list[tuple[Window, int]]
    places: tuple[int, ...]
    worst: WorstCase
    price: Price | None


def demand_of(plan: Plan, call: ParsedCall, route: Route) -> Demand:
    """One call and its worst case in tokens and money, for each window. Raises: Refusal context_exceeded."""
    worst = worst_case(call, route)
    prompt, output = worst.prompt_tokens, worst.output_tokens
    price = route.price if plan.spends_money else None
    money = 0 if price is None else worst_cost_micro_usd(worst, price)
    # In the order of the measures: calls, input, output and all tokens, money, calls at once.
    amounts = (1, prompt, output, prompt + output, money, 1)
    wants = [(window, amounts[place]) for window, place in plan.wants]
    places = plan.places
    if (plan.spends_money and not money) or (plan.spends_output and not output):
        # Nothing is taken out of what such a call cannot use: embeddings of output, a free model of money.
        places = tuple(place for place in places if amounts[place])
        wants = [want for want in wants if want[1]]
    return Demand(wants, places, worst, price)


class Limiter:
    """Reserves and settles through the lease book."""

    def __init__(self, book: LeaseBook) -> None:
        self._book = book

    async def reserve(self, plan: Plan, call: ParsedCall, route: Route) -> Allowance:
        """Take one call and its worst case in tokens and money out of each window.

        Two calls racing for the last token cannot both win.
        Raises: Refusal limit_reached (429), limits_unavailable (503).
        """
        demand = demand_of(plan, call, route)
        held = self._book.try_reserve(demand.wants)
        if held is None:
            held = await self._borrow(demand.wants, plan)
        return Allowance(held, demand.worst, demand.places, demand.price)

    async def take_call(self, plan: Plan) -> None:
        """Take one call and no tokens out of the key's windows, for what is answered without an upstream. Raises: Refusal."""
        calls = list(plan.calls)
        held = self._book.try_reserve(calls) or await self._borrow(calls, plan, tells_need=False)
        self._book.settle(held, [1] * len(calls))

    def refuse_spent(self, plan: Plan) -> None:
        """Refuse whoever is known to have no call left, before more is done for them. Raises: Refusal limit_reached."""
        try:
            self._book.check(plan.calls)
        except LimitReached as reached:
            raise limit_refusal(reached, wanted=0, fields=self.headers(plan)) from None

    def settle(self, allowance: Allowance, usage: Usage) -> None:
        """The call counts whole; of tokens and money only what was used, and it runs no more."""
        price = allowance.price
        cost = 0 if price is None else cost_micro_usd(usage, price)
        used = (1, usage.input_tokens, usage.output_tokens, usage.total, cost, 0)
        self._book.settle(allowance.held, [used[place] for place in allowance.places])

    def release(self, allowance: Allowance) -> None:
        """Give everything back: the call never reached an upstream."""
        self._book.settle(allowance.held, [0] * len(allowance.places))

    def headers(self, plan: Plan) -> Headers:
        """The fields RateLimit and RateLimit-Policy, and those that OpenAI's clients read, of whichever window leaves least.

        Figures are this process's best knowledge. Source: draft-ietf-httpapi-ratelimit-headers-10
        """
        values: list[int] = []
        calls = tokens = None
        for shown in plan.shown:
            standing = self._book.standing(shown.window)
            values.append(standing.remaining)
            if shown.resets:
                values.append(ceil(standing.reset_s))
            if shown.is_of_calls:
                if calls is None or standing.remaining < calls.remaining:
                    calls = standing
            elif shown.is_of_tokens and (tokens is None or standing.remaining < tokens.remaining):
                tokens = standing
        left = (plan.left % tuple(values)).encode()
        fields = [plan.policy, (b"ratelimit", left)]
        if calls is not None:
            fields += _x_fields(calls, _OF_CALLS)
        if tokens is not None:
            fields += _x_fields(tokens, _OF_TOKENS)
        return fields

    async def _borrow(
        self, wants: list[tuple[Window, int]], plan: Plan, *, tells_need: bool = True
    ) -> Held:
        try:
            return await self._book.reserve(wants)
        except LimitReached as reached:
            wanted = dict(wants).get(reached.window, 0) if tells_need else 0
            raise limit_refusal(reached, wanted=wanted, fields=self.headers(plan)) from None
        except StoreAway as away:
            raise Refusal(Code.LIMITS_UNAVAILABLE, retry_after_s=away.retry_after_s) from None


def _x_fields(standing: Standing, names: tuple[bytes, bytes, bytes]) -> Headers:
    limit, remaining, reset = names
    return [
        (limit, b"%d" % standing.limit),
        (remaining, b"%d" % standing.remaining),
        (reset, b"%ds" % ceil(standing.reset_s)),
    ]
