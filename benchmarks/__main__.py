"""Times this package against the report's recipe, in one run: `make bench`.

Both sides train the same networks from the same weights on the same batches, and are compared
only if their losses agree. The table goes to the terminal and to benchmarks/RESULTS.md.
"""

import platform
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

import sentiment_helpers as sh
from benchmarks import recipe
from sentiment_helpers import experiments

ROWS = experiments.PLAIN + experiments.SKIP
RESULTS = Path(__file__).with_name("RESULTS.md")
TRIALS = Path(__file__).with_name("TRIALS.md")  # of networks on words in order, kept by hand


def train_by_recipe(name, train, valid):
    """Losses by epoch and seconds of the recipe's training of a row of the report."""
    chosen = experiments.classifier(name)
    chosen.n_features_in_ = train[0].shape[1]
    network = recipe.RecipeBiRNN(
        chosen.n_features_in_,
        *(chosen.cell_type, chosen.num_layers, chosen.hidden_size),
        *(chosen.dropout, chosen.skip_connections),
    )
    torch.manual_seed(chosen.random_state)
    recipe.copy_weights(chosen.build_network(), network)  # where `fit` starts, too
    sets = [
        (torch.from_numpy(X).unsqueeze(1), torch.from_numpy(y.astype(np.float32)))
        for X, y in (train, valid)
    ]
    names = ("lr", "batch_size", "max_epochs", "patience", "max_norm", "random_state")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the recipe's fastest: more gain nothing on operations this small
    start = time.perf_counter()
    epochs = recipe.train(network, *sets, **{name: getattr(chosen, name) for name in names})
    seconds = time.perf_counter() - start
    torch.set_num_threads(threads)
    return [epoch["valid_loss"] for epoch in epochs], seconds


def words_in_order(reviews) -> str:
    """A line of the table: an epoch of one LSTM layer over the words of some reviews."""
    glove = sh.load_glove("glove.6B.50d")
    X = sh.TokenIds(glove).fit_transform(reviews["review"])
    y = reviews["label"].to_numpy()
    classifier = sh.BiRNNClassifier(
        "lstm", num_layers=1, hidden_size=64, dropout=0.2, word_dropout=0.3, embeddings=glove,
        lr=1e-3, max_norm=1.0, max_epochs=1,
    )  # fmt: skip
    classifier.fit(X, y, validation=(X[:64], y[:64]))
    ours = classifier.history_["seconds"].sum()  # with the figures of all rows after it
    twin = recipe.packed_twin(classifier.network_)
    ids = torch.from_numpy(classifier._positions(X)).long()
    with torch.inference_mode():
        difference = abs(twin.eval()(ids[:64]).numpy() - classifier.decision_function(X[:64])).max()
    if difference > 1e-5:
        raise SystemExit(f"packed LSTM: the logits differ by {difference:.1e}: not comparable")
    rows = [row[row > 0] for row in ids]
    start = time.perf_counter()
    recipe.train_words(twin, rows, torch.tensor(y, dtype=torch.float32), batch_size=64, lr=1e-3)
    theirs = time.perf_counter() - start
    return _line(f"LSTM 1×64, an epoch of {sum(map(len, rows)):,} words", theirs, ours)


def main() -> None:
    """Measure, compare, print and write the table."""
    train, valid = sh.split_reviews(sh.load_reviews("bundled"))
    words = words_in_order(train[:3200])
    embedding = sh.MeanEmbedding(sh.load_glove("glove.6B.50d")).fit(train["review"])
    train, valid = (
        (embedding.transform(rows["review"]), rows["label"].to_numpy()) for rows in (train, valid)
    )
    # Starts joblib's workers and reads the features once, as the first rows of a long table do.
    experiments.run_all(["gru-5", "gru-5"], train, valid, max_epochs=1)
    lines, theirs = [], {}
    for name in ROWS:
        losses, theirs[name] = train_by_recipe(name, train, valid)
        result = experiments.run(name, train, valid)
        difference = np.abs([epoch["valid_loss"] for epoch in result.history] - np.array(losses))
        if difference.max() > 1e-5:
            raise SystemExit(f"{name}: the losses differ by {difference.max():.1e}: not comparable")
        lines.append(_line(f"{result.title}, one core", theirs[name], result.seconds))
    start = time.perf_counter()
    experiments.run_all(ROWS, train, valid)
    together = time.perf_counter() - start
    lines.append(_line("all rows, all cores", sum(theirs.values()), together))
    text = f"""# Speed against the report's recipe

Written by `make bench`. The rows of the report at its hyperparameters, {len(train[1]):,} training
and {len(valid[1]):,} validation reviews of {train[0].shape[1]} values, figures taken each epoch.
The recipe (`benchmarks/recipe.py`) trains one row after the other, as the report did, with one
thread, at which it is fastest; this package trains as many rows at once as there are cores. Both
start from the same weights and see the same batches; their validation losses agree to 1e-5 in
every epoch.

| training | recipe | this package | ratio |
|---|---|---|---|
{chr(10).join(lines)}

Words in order, against `pack_padded_sequence` and `nn.LSTM(bidirectional=True)` in batches of
shuffled reviews, as tutorials write it; from the same weights the logits agree to 1e-5. (Our
time includes the figures of all training reviews after the epoch; the other side takes none.)

| training | packed | this package | ratio |
|---|---|---|---|
{words}

{_machine()}

{TRIALS.read_text("utf-8")}"""
    print(text)
    RESULTS.write_text(text, "utf-8")


def _line(title: str, theirs: float, ours: float) -> str:
    return f"| {title} | {theirs:.1f} s | {ours:.1f} s | {theirs / ours:.1f} × |"


def _machine() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    models = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
    model = models[0].partition(": ")[2] if models else platform.processor()
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "scikit-learn"))
    cores = f"{torch.get_num_threads()} cores of {model}"
    return f"{cores}; Python {platform.python_version()}, {versions}."


if __name__ == "__main__":
    main()
