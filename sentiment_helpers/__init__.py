"""Movie reviews read as positive or negative by bidirectional stacked RNNs over GloVe vectors.

Each name is imported when it is first used: PyTorch, pandas and Matplotlib take seconds, and a
program pays for what it needs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["comparisons", "experiments", "plots", "study"],
    submod_attrs={
        "archives": ["CheckpointError"],
        "bags": ["BagClassifier"],
        "checkpoints": ["load", "save"],
        "classifiers": ["BiRNNClassifier", "FeedForwardClassifier"],
        "features": ["MeanEmbedding", "TokenIds", "coverage"],
        "files": ["project_folder"],
        "glove": ["Glove", "GloveFileError", "load_glove"],
        "metrics": ["evaluate", "holm", "intervals", "mcnemar", "paired_difference"],
        "networks": ["BiRNN", "FeedForward", "WordBiRNN"],
        "partitions": ["score_partition"],
        "reviews": ["load_reviews", "split_reviews"],
        "scoring": ["ScoreReport", "score_csv"],
        "sources": ["ReviewFileError"],
        "text": ["clean", "tokens"],
        "together": ["Together"],
        "training": ["EarlyStopping", "gradient_norms"],
    },
)
