"""The stages, each compared with the usual method. A stage checks that both methods give the same
results and returns its rows of the table that `python -m benchmarks` writes."""

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch
from sklearn.pipeline import make_pipeline

import sentiment_helpers as sh
from benchmarks import recipe, recipe_text
from benchmarks.measure import Line, Run, check, measured, one_core
from sentiment_helpers.classifiers.word_birnn import WordBiRNNClassifier
from sentiment_report import experiments

MODELS = Path(__file__).parents[1] / "models"


def vectors(rows: int | None = None) -> list[Line]:
    """From reviews to mean vectors, compared with the recipe."""
    reviews = bundled(rows)["review"]
    glove = sh.load_glove()
    len(glove.index)  # builds the dictionary, which both methods have before they are timed
    embedding = sh.MeanEmbedding(glove)
    X, ours = measured(lambda: embedding.fit_transform(reviews))
    with one_core():
        _, on_one = measured(lambda: embedding.fit_transform(reviews))
    table = dict(zip(embedding.glove_.words, embedding.glove_.vectors, strict=True))
    size = X.shape[1]
    expected, usual = measured(
        lambda: np.stack(
            reviews.apply(recipe_text.words).apply(recipe_text.mean, args=(table, size))
        )
    )
    check("mean vectors", X, expected, 1e-5)
    name = f"{len(reviews):,} reviews → mean vectors"
    return [
        Line(f"{name}, {os.cpu_count()} cores", ours, usual, "≥ 20 ×, ≤ 600 MB"),
        Line(f"{name}, one core", on_one, usual, "≥ 12 ×"),
    ]


def ids(rows: int | None = None) -> list[Line]:
    """From reviews to ids, compared with NLTK's tokenizer and a dictionary."""
    reviews = bundled(rows)["review"]
    glove = sh.load_glove()
    index = {word: row + 2 for word, row in glove.index.items()}
    X, ours = measured(lambda: sh.TokenIds(glove).fit_transform(reviews))
    expected, usual = measured(
        lambda: np.stack(
            reviews.apply(recipe_text.tokens).apply(recipe_text.ids, args=(index, X.shape[1]))
        )
    )
    check("token ids", X, expected, 0)
    return [Line(f"{len(reviews):,} reviews → token ids", ours, usual, "≥ 15 ×")]


def glove(rows: int | None = None, size: int = 300) -> list[Line]:
    """From a text file of vectors to an array, compared with gensim."""
    from gensim.models import KeyedVectors

    words = sh.load_glove().words[:rows]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "vectors.txt"
        write_vectors(path, words, size)
        opened, ours = measured(lambda: sh.load_glove(path), repeats=1)
        expected, usual = measured(
            lambda: KeyedVectors.load_word2vec_format(path, binary=False, no_header=True)
        )
        check("GloVe's values", opened.vectors, expected.vectors, 0)
        check("GloVe's words", np.array(opened.words), np.array(expected.index_to_key), 0)
        del opened
        again, reopened = measured(lambda: sh.load_glove(path))
        _, touched = measured(lambda: np.array(again.vectors[: len(words) // 100]))
        name = f"GloVe text, {len(words):,} × {size}"
    return [
        Line(f"{name} → array", ours, usual, "≥ 5 ×, ≤ 1.3 × the array"),
        Line(f"{name}, opened again", reopened, None, "≤ 50 ms"),
        Line("the same, a hundredth of its rows read", touched, None, "memory of these rows"),
    ]


def epoch(rows: int | None = None) -> list[Line]:
    """Three epochs on mean vectors, compared with the recipe's loop."""
    train, valid = features(rows)
    lines = []
    for name in ("gru-5", "lstm-14-skip"):
        chosen = experiments.classifier(name, max_epochs=3)
        fitted, ours = measured(lambda chosen=chosen: chosen.fit(*train, validation=valid))
        losses, usual = train_by_recipe(chosen, train, valid)
        check(f"losses of {name}", fitted.history_["valid_loss"], losses, 1e-5)
        lines.append(
            Line(f"three epochs of {fitted.title}, {len(train[0]):,} rows", ours, usual, "≥ 3 ×")
        )
    return lines


def words(rows: int | None = 1600) -> list[Line]:
    """One epoch of one LSTM layer over words in order, compared with packed sequences."""
    reviews = bundled(rows)
    glove = sh.load_glove()
    X, y = sh.TokenIds(glove).fit_transform(reviews["review"]), reviews["label"].to_numpy()
    classifier = WordBiRNNClassifier(
        embeddings=glove, cell_type="lstm", num_layers=1, hidden_size=64, skip_connections=False,
        pooling="last", shortcut=False, domain_size=0, pair_size=0,
        dropout=0.2, layer_dropout=0.0, output_dropout=0.0, word_dropout=0.3,
        lr=1e-3, embedding_lr=1e-3, schedule="constant", batch_size=64, max_norm=1.0, max_epochs=1,
    )  # fmt: skip
    _, ours = measured(lambda: classifier.fit(X, y, validation=(X[:64], y[:64])), repeats=1)
    twin = recipe.packed_twin(classifier.network_)
    place = np.searchsorted(classifier.ids_, X).clip(max=len(classifier.ids_) - 1)
    kept = classifier.ids_[place] == X  # words with a vector of their own
    ids = torch.from_numpy(np.where(kept, place + 2, X.clip(max=1)))
    with torch.inference_mode():
        check("packed LSTM", classifier.decision_function(X[:64]), twin.eval()(ids[:64]), 1e-5)
    unpadded = [row[row > 0] for row in ids]
    targets = torch.tensor(y, dtype=torch.float32)
    _, usual = measured(lambda: recipe.train_words(twin, unpadded, targets, 64, 1e-3), repeats=1)
    name = f"an epoch of LSTM 1×64, {sum(map(len, unpadded)):,} words in order"
    return [Line(name, ours, usual, "≥ 3 ×")]


def scoring(rows: int | None = None) -> list[Line]:
    """Scoring a file with the report's model, compared with the recipe row by row."""
    model = sh.load(MODELS / "RNN-report.pt")
    embedding, classifier = model[0], model[1]
    table = dict(zip(embedding.glove_.words, embedding.glove_.vectors, strict=True))
    network = recipe.twin(classifier).eval()
    size = embedding.glove_.vectors.shape[1]
    return score_both(
        "the report's model", model, rows,
        lambda *files: recipe_text.score_rows(network, table, size, *files), "≥ 20 ×",
    )  # fmt: skip


def sequence_scoring(rows: int | None = 5000) -> list[Line]:
    """Scoring a file with words in order, compared with batches of 64 in the order of the file."""
    blend = sh.load(MODELS / "RNN.pt")
    model = make_pipeline(blend[0], blend[-1].named_estimators_["network"])
    ids, classifier = model[0], model[1]
    rows_of = {id_: row for row, id_ in enumerate(classifier.ids_.tolist(), 2)}
    index = {word: rows_of.get(id_, 1) for word, id_ in ids.ids_.items()}
    return score_both(
        "words in order", model, rows,
        lambda *files: recipe_text.score_batches(
            classifier.network_, index, ids.max_length, *files
        ),
        "≥ 2 ×",
    )  # fmt: skip


def start(rows: int | None = None) -> list[Line]:
    """The start of the import and of the command line's help, including Python's own."""
    lines = []
    for name, arguments in (
        ("import sentiment_helpers", ["-c", "import sentiment_helpers"]),
        ("python -m sentiment_helpers --help", ["-m", "sentiment_helpers", "--help"]),
    ):
        command = [sys.executable, *arguments]
        _, ours = measured(
            lambda command=command: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        )
        lines.append(Line(f"`{name}`", Run(ours.seconds, None), None, "< 0.3 s"))
    return lines


STAGES = {
    stage.__name__: stage
    for stage in (vectors, ids, glove, epoch, words, scoring, sequence_scoring, start)
}


def bundled(rows: int | None = None) -> pd.DataFrame:
    """All bundled reviews, or a random sample of `rows`."""
    reviews = sh.load_reviews("bundled")
    return reviews.sample(rows, random_state=0) if rows else reviews


def features(rows: int | None = None) -> tuple[tuple, tuple]:
    """(Mean vectors, labels) for training and validation, split as in the report."""
    train, valid = sh.split_reviews(bundled(rows))
    embedding = sh.MeanEmbedding(sh.load_glove()).fit(train["review"])
    return tuple((embedding.transform(s["review"]), s["label"].to_numpy()) for s in (train, valid))


def train_by_recipe(chosen: sh.BiRNNClassifier, train, valid) -> tuple[list[float], Run]:
    """The recipe's validation losses by epoch, from the same initial weights as `chosen.fit`."""
    sets = [
        (torch.from_numpy(X).unsqueeze(1), torch.from_numpy(y.astype(np.float32)))
        for X, y in (train, valid)
    ]
    names = ("lr", "batch_size", "max_epochs", "patience", "max_norm", "random_state")
    parameters = {name: getattr(chosen, name) for name in names}

    def run():
        torch.manual_seed(chosen.random_state)
        return recipe.train(recipe.twin(chosen, chosen.build_network()), *sets, **parameters)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the recipe's fastest: its operations are too small for more
    epochs, usual = measured(run)
    torch.set_num_threads(threads)
    return [epoch["valid_loss"] for epoch in epochs], usual


def score_both(
    title: str, model, rows: int | None, by_usual_method: Callable, target: str
) -> list[Line]:
    """Score bundled reviews with `model` and with `by_usual_method(source, destination)`."""
    with TemporaryDirectory() as folder:
        source, *scored = (Path(folder) / name for name in ("in", "ours", "usual"))
        reviews = bundled(rows)
        reviews[["review"]].to_csv(source, index=False)
        _, ours = measured(lambda: sh.score_csv(model, source, scored[0], overwrite=True))
        _, usual = measured(lambda: by_usual_method(source, scored[1]))
        columns = []
        for path in scored:
            with path.open(newline="") as file:
                columns.append([float(row["probability"]) for row in csv.DictReader(file)])
        check(f"probabilities of {title}", *columns, 1e-5)
    return [Line(f"scoring {len(reviews):,} rows, {title}", ours, usual, target)]


def write_vectors(path: Path, words: list[str], size: int) -> None:
    """Write `words` with random values in GloVe's text format."""
    rng = np.random.default_rng(1234)
    values = [f"{value:.5g}" for value in rng.normal(0, 0.4, 2**16)]
    with path.open("w", encoding="utf-8") as file:
        for word in words:
            chosen = rng.integers(0, len(values), size).tolist()
            file.write(f"{word} {' '.join([values[i] for i in chosen])}\n")
