"""The report's recipe for networks (its 3rd to 5th step), which this package is compared with.

A list of one-layer modules, `DataLoader` over `TensorDataset`, PyTorch's Adam with its defaults,
scikit-learn's metrics after each epoch. And packed sequences, the usual method for words in order.
"""

import copy

import numpy as np
import torch
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score, roc_auc_score
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler, TensorDataset

CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class RecipeBiRNN(nn.Module):
    """One `ModuleList` of cells a direction; the backward cells read a flipped copy."""

    def __init__(self, input_size, cell_type, num_layers, hidden_size, dropout, skip_connections):
        super().__init__()
        self.numbers = range(1, num_layers + 1, 2 if skip_connections else 1)
        self.skip_connections = skip_connections
        sizes = [input_size] + [hidden_size] * (len(self.numbers) - 1)
        self.forward_cells, self.backward_cells = (
            nn.ModuleList(CELLS[cell_type](size, hidden_size, batch_first=True) for size in sizes)
            for _ in range(2)
        )
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(2 * hidden_size, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B,) of reviews `x` (B, T, D)."""
        x = self.dropout(x)
        outputs = []
        for cells, h in ((self.forward_cells, x), (self.backward_cells, torch.flip(x, [1]))):
            for number, cell in zip(self.numbers, cells, strict=True):
                h, _ = cell(h)  # (B, T, H)
                if number == 1:
                    first = h
                elif self.skip_connections:
                    h = h + first
            outputs.append(h[:, -1])
        return self.out(torch.cat(outputs, dim=1)).squeeze(1)


class Shuffled(Sampler):
    """The order that `training.fit` draws from the same seed, new in each epoch."""

    def __init__(self, rows: int, random_state: int):
        self.rows, self.generator = rows, torch.Generator().manual_seed(random_state)

    def __len__(self):
        return self.rows

    def __iter__(self):
        return iter(torch.randperm(self.rows, generator=self.generator).tolist())


def train(network, train, valid, *, lr, batch_size, max_epochs, patience, max_norm, random_state):
    """Train `network` on (inputs, labels); returns a dictionary of figures for each epoch."""
    order = Shuffled(len(train[0]), random_state)
    loaders = {  # with their own generators, so that only dropout uses the global one
        "train": DataLoader(
            TensorDataset(*train), batch_size, sampler=order, generator=torch.Generator()
        ),
        "valid": DataLoader(TensorDataset(*valid), batch_size, generator=torch.Generator()),
    }
    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    criterion = nn.BCEWithLogitsLoss()
    epochs, best, misses = [], float("inf"), 0
    torch.manual_seed(random_state)
    for _ in range(max_epochs):
        figures = {}
        for side, loader in loaders.items():
            network.train(side == "train")
            total, labels, probabilities = 0.0, [], []
            for x, y in loader:
                with torch.set_grad_enabled(side == "train"):
                    logits = network(x)
                    loss = criterion(logits, y)
                if side == "train":
                    optimizer.zero_grad()
                    loss.backward()
                    nn.utils.clip_grad_norm_(network.parameters(), max_norm)
                    optimizer.step()
                total += loss.item() * len(y)
                labels.append(y)
                probabilities.append(torch.sigmoid(logits).detach())
            figures[f"{side}_loss"] = total / len(loader.dataset)
            figures |= scores(side, torch.cat(labels).numpy(), torch.cat(probabilities).numpy())
        epochs.append(figures)
        if figures["valid_loss"] < best:
            best, weights = figures["valid_loss"], copy.deepcopy(network.state_dict())
        else:
            misses += 1
        if misses >= patience:
            break
    network.load_state_dict(weights)
    return epochs


def scores(side: str, labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """The report's figures, with one call of scikit-learn each."""
    predictions = probabilities > 0.5
    return {
        f"{side}_accuracy": accuracy_score(labels, predictions),
        f"{side}_precision": precision_score(labels, predictions, zero_division=0),
        f"{side}_recall": recall_score(labels, predictions),
        f"{side}_f1": f1_score(labels, predictions),
        f"{side}_roc_auc": roc_auc_score(labels, probabilities),
    }


def twin(classifier, network: nn.Module | None = None) -> RecipeBiRNN:
    """A `RecipeBiRNN` like a classifier's network, with its weights or those of `network`."""
    recipe = RecipeBiRNN(
        *(classifier.n_features_in_, classifier.cell_type, classifier.num_layers),
        *(classifier.hidden_size, classifier.dropout, classifier.skip_connections),
    )
    copy_weights(network or classifier.network_, recipe)
    return recipe


def copy_weights(network: nn.Module, recipe: RecipeBiRNN) -> None:
    """Copy the weights of a `BiRNN` to `recipe`."""
    for stack, cells in (
        (network.forward_stack, recipe.forward_cells),
        (network.backward_stack, recipe.backward_cells),
    ):
        for layer, cell in zip(stack.layers.values(), cells, strict=True):
            cell.load_state_dict(layer.state_dict())
    recipe.out.load_state_dict(network.out.state_dict())


class PackedBiLSTM(nn.Module):
    """A network for words in order as in tutorials: packed sequences, `bidirectional=True`."""

    def __init__(self, num_ids, input_size, hidden_size, dropout, word_dropout):
        super().__init__()
        self.word_dropout = word_dropout
        self.embedding = nn.Embedding(num_ids, input_size, padding_idx=0)
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(input_size, hidden_size, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * hidden_size, 1)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits (B,) of reviews `ids` (B, T), right-padded with 0."""
        lengths = (ids > 0).sum(1).cpu()
        if self.training:
            dropped = torch.rand(ids.shape) < self.word_dropout
            ids = ids.masked_fill(dropped & (ids > 0), 1)
        x = self.dropout(self.embedding(ids))
        packed = nn.utils.rnn.pack_padded_sequence(
            x, lengths, batch_first=True, enforce_sorted=False
        )
        _, (h, _) = self.lstm(packed)
        return self.out(torch.cat([h[0], h[1]], dim=1)).squeeze(1)


def packed_twin(network: nn.Module) -> PackedBiLSTM:
    """A `PackedBiLSTM` with the weights of a `WordBiRNN` of one LSTM layer."""
    body = network.body
    layers = [body.forward_stack.layers["1"], body.backward_stack.layers["1"]]
    twin = PackedBiLSTM(
        *network.embedding.weight.shape,
        layers[0].hidden_size,
        body.dropout.p,
        network.word_dropout.p,
    )
    for layer, end in zip(layers, ("", "_reverse"), strict=True):
        for name, weight in layer.named_parameters():
            getattr(twin.lstm, name + end).data.copy_(weight)
    twin.embedding.load_state_dict(network.embedding.state_dict())
    twin.out.load_state_dict(body.out.state_dict())
    return twin


def train_words(network: nn.Module, rows: list[Tensor], labels: Tensor, batch_size: int, lr: float):
    """One epoch over shuffled reviews of ids, with each batch padded to its longest review."""
    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    network.train()
    for batch in torch.randperm(len(rows)).split(batch_size):
        ids = nn.utils.rnn.pad_sequence([rows[i] for i in batch], batch_first=True)
        loss = nn.functional.binary_cross_entropy_with_logits(network(ids), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
