"""Step 8: what the call used and what that costs, at the price that stood when it was admitted."""

import math

from proxy.exchange import ParsedCall, Usage, WorstCase
from proxy.route import Price

_MILLION = 1_000_000
BYTES_PER_TOKEN = 4


def cost_micro_usd(usage: Usage, price: Price) -> int:
    """Micro-USD (1e-6 USD), rounded up once for the whole call. Cached, reasoning and audio tokens have prices of their own.

    `manage.py verify_ledger` holds the ledger's rows to the same sum (proxy/usage/verification.py).
    """
    total = (
        usage.input_tokens * price.input
        + usage.cached_tokens * (price.cached_input - price.input)
        + usage.output_tokens * price.output
    )
    if usage.reasoning_tokens and price.reasoning is not None:
        total += usage.reasoning_tokens * (price.reasoning - price.output)
    if usage.input_audio_tokens and price.audio_input is not None:
        total += usage.input_audio_tokens * (price.audio_input - price.input)
    if usage.output_audio_tokens and price.audio_output is not None:
        total += usage.output_audio_tokens * (price.audio_output - price.output)
    return -(-total // _MILLION)


def worst_cost_micro_usd(worst: WorstCase, price: Price) -> int:
    """The most that a call within these bounds can cost, whatever of it is cached, reasoning or audio."""
    total = worst.prompt_tokens * price.dearest_input + worst.output_tokens * price.dearest_output
    return -(-total // _MILLION)


def estimate_usage(
    call: ParsedCall, worst: WorstCase, *, output_bytes: int, output_events: int
) -> Usage:
    """Count what an upstream did not: four bytes are one token, and an event that carried text is at least one.

    Never above what was reserved, and marked as estimated.
    """
    prompt = min(worst.prompt_tokens, math.ceil(call.counted_bytes / BYTES_PER_TOKEN))
    output = max(output_events, math.ceil(output_bytes / BYTES_PER_TOKEN))
    return Usage(
        input_tokens=worst.prompt_tokens if call.reaches_out else prompt,
        output_tokens=min(worst.output_tokens, output),
        estimated=True,
    )
