"""What two medians differ by chance alone."""

import random
from collections.abc import Sequence
from statistics import median

HALVINGS = 1000


def chance_of(times: Sequence[float]) -> float:
    """The largest difference that a thousand halvings of the same times show between their medians."""
    half = len(times) // 2
    differences = []
    for _ in range(HALVINGS):
        mixed = random.sample(times, len(times))
        differences.append(abs(median(mixed[:half]) - median(mixed[half:])))
    return max(differences)
