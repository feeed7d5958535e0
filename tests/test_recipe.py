"""The benchmark's other side computes the same."""

import torch

from benchmarks.recipe import packed_twin
from sentiment_helpers import WordBiRNN


def test_packed_lstm_gives_the_same_logits():
    network = WordBiRNN(30, 6, 0.3, cell_type="lstm", num_layers=1, hidden_size=5, dropout=0.2)
    ids = torch.tensor([[3, 4, 5, 6, 7], [8, 9, 0, 0, 0], [10, 11, 12, 0, 0]])
    twin = packed_twin(network).eval()
    torch.testing.assert_close(network.eval()(ids), twin(ids), rtol=0, atol=1e-5)
