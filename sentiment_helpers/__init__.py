"""Movie reviews read as positive or negative by bidirectional stacked RNNs over GloVe vectors."""

from sentiment_helpers import comparisons, experiments, plots, study
from sentiment_helpers.bags import BagClassifier
from sentiment_helpers.checkpoints import CheckpointError, load, save
from sentiment_helpers.classifiers import BiRNNClassifier, FeedForwardClassifier
from sentiment_helpers.features import MeanEmbedding, TokenIds, coverage
from sentiment_helpers.files import project_folder
from sentiment_helpers.glove import Glove, GloveFileError, load_glove
from sentiment_helpers.metrics import evaluate, holm, intervals, mcnemar, paired_difference
from sentiment_helpers.networks import BiRNN, FeedForward, WordBiRNN
from sentiment_helpers.reviews import ReviewFileError, load_reviews, split_reviews
from sentiment_helpers.scoring import score_csv
from sentiment_helpers.text import clean, tokens
from sentiment_helpers.together import Together
from sentiment_helpers.training import EarlyStopping, gradient_norms

__all__ = [
    "BagClassifier",
    "BiRNN",
    "BiRNNClassifier",
    "CheckpointError",
    "EarlyStopping",
    "FeedForward",
    "FeedForwardClassifier",
    "Glove",
    "GloveFileError",
    "MeanEmbedding",
    "ReviewFileError",
    "Together",
    "TokenIds",
    "WordBiRNN",
    "clean",
    "comparisons",
    "coverage",
    "evaluate",
    "experiments",
    "gradient_norms",
    "holm",
    "intervals",
    "load",
    "load_glove",
    "load_reviews",
    "mcnemar",
    "paired_difference",
    "plots",
    "project_folder",
    "save",
    "score_csv",
    "split_reviews",
    "study",
    "tokens",
]
