"""Movie reviews read as positive or negative by bidirectional stacked RNNs over GloVe vectors.

Each name is imported when it is first used: PyTorch, pandas and Matplotlib take seconds, and a
program pays for what it needs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["plots"],
    submod_attrs={
        "storage.pt_file": ["CheckpointError"],
        "classifiers.bag": ["BagClassifier"],
        "saving": ["load", "save"],
        "classifiers.birnn": ["BiRNNClassifier"],
        "classifiers.feed_forward": ["FeedForwardClassifier"],
        "classifiers.word_birnn": ["WordBiRNNClassifier"],
        "features": ["MeanEmbedding", "TokenIds", "coverage"],
        "storage.files": ["project_folder"],
        "glove": ["Glove", "GloveFileError", "load_glove"],
        "metrics": ["evaluate", "intervals"],
        "networks": ["BiRNN", "FeedForward", "WordBiRNN"],
        "scoring": ["ScoreReport", "score_csv", "score_partition"],
        "reviews": ["load_reviews", "split_reviews"],
        "storage.text_file": ["ReviewFileError"],
        "text": ["clean", "tokens"],
        "classifiers.blend": ["Blend"],
        "training": ["EarlyStopping", "gradient_norms"],
        "highlights": ["highlight_words"],
    },
)
