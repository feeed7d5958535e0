"""How a training uses the processor: its threads, and the smallest numbers.

The plain twin of each block is the same code outside of it. Results agree but for their last bits
(test_fast.py).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, Thread

import torch
from torch import nn

SMALL_NETWORK = 100_000  # weights; the report's networks have at most 50,000
_setting = Lock()


@contextmanager
def threads_for(network: nn.Module) -> Iterator[None]:
    """In this block, one thread trains a small network; all threads a large one.

    More threads gain nothing on short operations, and where other work keeps the cores busy they
    wait for each other, up to a hundred times longer. Only the calling thread is limited, since
    others may be training, too.
    """
    if sum(weight.numel() for weight in network.parameters()) >= SMALL_NETWORK:
        yield
        return
    with _setting:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # for this thread, and for those that start later
        other = Thread(target=torch.set_num_threads, args=(threads,))  # only for the latter
        other.start()
        other.join()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


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
