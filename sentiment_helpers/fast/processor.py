"""How a training uses the processor: its threads, and the smallest numbers.

The plain twin of each block here is the same code outside of it. Results agree but for their last
bits (test_fast.py).
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from threadpoolctl import threadpool_limits
from torch import nn

SMALL_NETWORK = 100_000  # weights; the report's networks have at most 50,000


def threads_for(network: nn.Module):
    """A block in which a small network is trained by one thread; a large one by all.

    More threads gain nothing on short operations, and where other work keeps the cores busy they
    wait for each other, up to a hundred times longer. Only the calling thread is limited:
    `torch.set_num_threads` would act on the whole process, where others may be training, too.
    """
    small = sum(weight.numel() for weight in network.parameters()) < SMALL_NETWORK
    return threadpool_limits(1, "openmp") if small else nullcontext()


@contextmanager
def denormals_flushed() -> Iterator[None]:
    """In this block, numbers below 1e-38 count as 0. A processor takes many times longer for each
    of them, and Adam's averages of weights that are seldom used, as a rare word's, end there."""
    before = (torch.full((), 1e-40, dtype=torch.float32) * 1).item() == 0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
