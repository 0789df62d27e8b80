"""Which one of many is visited next. The same arguments always give the same visits."""

from itertools import accumulate
from random import Random
from typing import Literal

Law = Literal["hot", "zipf", "uniform"]

_SEED = 2016  # any; it only has to stay


def visits(law: Law, among: int, number: int) -> list[int]:
    """So many indices below `among`: always the same one, by Zipf's law (the k-th most visited 1/k as often), or uniformly."""
    random = Random(_SEED)
    if law == "hot":
        return [among // 2] * number
    if law == "uniform":
        return random.choices(range(among), k=number)
    ranked = random.sample(range(among), k=among)  # else the most visited would stand side by side in memory
    return random.choices(ranked, cum_weights=list(accumulate(1 / rank for rank in range(1, among + 1))), k=number)
