"""A sample of any size, drawn in blocks of companies, so that memory does not grow with it.

Each block has its own ids and its own random numbers, and its share of every trap, so it is drawn, written
and forgotten before the next. A sample of one block is `conversion.simulation.sample.simulate`, to the bit.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from conversion.simulation.export import Sample
from conversion.simulation.firms import FIRST_ID
from conversion.simulation.sample import simulate

MOST_COMPANIES: Final = 100_000
"""Most companies of a block. Another number draws another sample of more companies than that."""


@dataclass(frozen=True)
class Block:
    """Some companies of a sample: the number of the block, its first id, and how many there are."""

    number: int
    first_id: int
    companies: int


def blocks_of(companies: int, most: int = MOST_COMPANIES) -> list[Block]:
    """Split companies into the fewest blocks of at most so many, whose sizes differ by one at most.

    Examples
    --------
    >>> [block.companies for block in blocks_of(250_000)]
    [83333, 83334, 83333]
    """
    count = -(-companies // most)
    edges = [round(place * companies / count) for place in range(count + 1)]
    return [Block(at, FIRST_ID + edges[at], edges[at + 1] - edges[at]) for at in range(count)]


def draw_blocks(
    companies: int, weeks: int, first_week: dt.date, seed: int, most: int = MOST_COMPANIES
) -> Iterator[Sample]:
    """Draw a sample block by block.

    Parameters
    ----------
    companies, weeks, first_week, seed
        As in `conversion.simulation.sample.simulate`, for the whole sample.
    most
        Most companies of a block.

    Yields
    ------
    Sample
        The tables and the truth of the block's companies.
    """
    blocks = blocks_of(companies, most)
    for block in blocks:
        random = seed if len(blocks) == 1 else np.random.SeedSequence(seed, spawn_key=(block.number,))
        yield simulate(block.companies, weeks, first_week, random, block.first_id)
