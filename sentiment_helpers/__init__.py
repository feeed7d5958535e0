"""Movie reviews read as positive or negative by bidirectional stacked RNNs over GloVe vectors.

Each name is imported when it is first used: PyTorch, pandas and Matplotlib take seconds.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["plots"],
    submod_attrs={
        "reviews": ["film_parts", "load_reviews", "split_reviews"],
        "text": ["clean", "tokens"],
        "glove": ["Glove", "load_glove"],
        "features": ["MeanEmbedding", "TokenIds"],
        "networks": ["BiRNN", "WordBiRNN"],
        "classifiers": ["blend"],
        "classifiers.birnn": ["BiRNNClassifier"],
        "classifiers.word_birnn": ["WordBiRNNClassifier"],
        "classifiers.bag": ["BagClassifier"],
        "metrics": ["evaluate", "intervals"],
        "saving": ["load", "save"],
        "scoring": ["score_csv", "score_partition"],
        "highlights": ["highlight_words"],
    },
)
