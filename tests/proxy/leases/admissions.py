"""What was admitted when: the one figure that a limit promises something about."""

from itertools import pairwise


def most_in_any_window(admitted: list[tuple[float, int]], length_s: float) -> int:
    """The largest sum over any half-open stretch of `length_s` seconds."""
    ordered = sorted(admitted)
    assert all(first[0] <= second[0] for first, second in pairwise(ordered))
    most = total = start = 0
    for at, amount in ordered:
        total += amount
        while ordered[start][0] <= at - length_s:
            total -= ordered[start][1]
            start += 1
        most = max(most, total)
    return most
