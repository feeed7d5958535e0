"""The report's recipe for texts (its 2nd step), which this package is compared with.

Row by row: NLTK's tokenizer, the cleaning steps, a dictionary of vectors.
"""

import csv
import re

import numpy as np
import torch
from nltk.tokenize import NLTKWordTokenizer

from sentiment_helpers import text

tokenizer = NLTKWordTokenizer()
# NLTK's own rule for the full stop that ends a text, applied to each sentence.
FULL_STOP = re.compile(r"(?<=[^.])(\.)([\])}>\"'»”’]*+)(?=\s)")


def tokenized(review: str) -> str:
    """A review's Treebank tokens, separated by spaces."""
    review = " ".join(text.straighten(piece.lower()) for piece in text.pieces(review))
    return " ".join(tokenizer.tokenize(FULL_STOP.sub(r" \1 \2 ", review + " ")))


def words(review: str) -> list[str]:
    """The same as `sentiment_helpers.clean`."""
    return [word for word in text.WORD.findall(tokenized(review)) if word not in text.STOP_WORDS]


def tokens(review: str) -> list[str]:
    """The same as `sentiment_helpers.tokens`."""
    return text.TOKEN.findall(tokenized(review))


def mean(review_words: list[str], vectors: dict[str, np.ndarray], size: int) -> np.ndarray:
    """The mean (size,) of the vectors of a review's distinct known words."""
    known = [vectors[word] for word in set(review_words) if word in vectors]
    return np.mean(known, axis=0) if known else np.zeros(size, np.float32)


def ids(review_tokens: list[str], index: dict[str, int], max_length: int) -> np.ndarray:
    """The row (max_length,) int32 that `sentiment_helpers.TokenIds` makes of a review."""
    found = []
    for token in review_tokens:
        for word in [token] if token in index else token.split("-"):
            found.append(index.get(word, 1))
    if len(found) > max_length:
        end = max_length // 2
        found = found[: max_length - end] + found[len(found) - end :]
    row = np.zeros(max_length, np.int32)
    row[: max(len(found), 1)] = found or [1]
    return row


def score_rows(network, vectors: dict[str, np.ndarray], size: int, source, destination) -> None:
    """Copy a CSV file row by row, with a new column of probabilities."""
    with open(source, newline="") as file, open(destination, "w", newline="") as copy:
        rows, writer = csv.reader(file), csv.writer(copy)
        header = next(rows)
        writer.writerow([*header, "probability"])
        column = header.index("review")
        for row in rows:
            x = torch.from_numpy(mean(words(row[column]), vectors, size)).view(1, 1, -1)
            with torch.no_grad():
                probability = torch.sigmoid(network(x)).item()
            writer.writerow([*row, probability])


def score_batches(network, index: dict[str, int], max_length: int, source, destination) -> None:
    """The same for a network of ids (B, T): batches of 64 rows, each padded to its longest review,
    in the order of the file."""
    with open(source, newline="") as file, open(destination, "w", newline="") as copy:
        rows, writer = csv.reader(file), csv.writer(copy)
        header = next(rows)
        writer.writerow([*header, "probability"])
        column = header.index("review")
        rows = list(rows)
        for start in range(0, len(rows), 64):
            batch = rows[start : start + 64]
            x = np.stack([ids(tokens(row[column]), index, max_length) for row in batch])
            x = torch.from_numpy(x[:, : (x > 0).sum(axis=1).max()]).long()
            with torch.no_grad():
                probabilities = torch.sigmoid(network(x)).tolist()
            writer.writerows(
                [*row, probability] for row, probability in zip(batch, probabilities, strict=True)
            )
