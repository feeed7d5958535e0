"""A review's words, in order. Knows nothing of vectors or tables.

A review is cut at white space into chunks and every *distinct* chunk is tokenised once: most
chunks recur, so the 5.8 million of 25,000 reviews cost the work of 236,000.
"""

import html
import re
from collections.abc import Sequence
from functools import lru_cache

from nltk.tokenize import NLTKWordTokenizer

NEGATIONS = frozenset("not no nor n't never none nobody nothing neither nowhere without".split())
"""Words that turn a judgement round; always kept."""

STOP_WORDS = frozenset(
    # pronouns and determiners
    "i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his "
    "himself she her hers herself it its itself they them their theirs themselves what which who "
    "whom whose this that these those a an the some any each every other such own same both all "
    # be, have, do and the modal verbs, with what Treebank's rules leave of their short forms
    "am is are was were be been being have has had having do does did doing will would shall "
    "should can could may might must ca wo sha ai s t d m ll re ve y "
    # prepositions, conjunctions and adverbs of place and time
    "of at by for with about against between among into through during before after above below "
    "to from up down in out on off over under upon and but if or because as until while than so "
    "again further then once here there when where why how now just only also very too".split()
)
"""English function words: the ground that NLTK's list covers, less every negation."""

_APOSTROPHES = str.maketrans("‘’`´", "''''")
_MARKUP = re.compile(r"<(?:!--.*?--|/?[A-Za-z][^<>]*)>", re.DOTALL)
# What a Treebank contraction needs: an apostrophe, or one of its six fused words.
_CONTRACTION = re.compile(r"'|cannot|gimme|gonna|gotta|lemme|wanna")
# Letters, with hyphens and apostrophes inside; nothing of a token that touches a digit.
_WORD = re.compile(r"(?<![^\W_])[^\W\d_]++(?:['-][^\W\d_]++)*+(?!\d)")
# What `tokens` keeps of a token: letters and digits, with hyphens and apostrophes inside; the short
# forms that Treebank's rules split off ("n't", "'s"); marks that carry feeling.
_TOKEN = re.compile(r"(?:^'|(?<![^\W_]))[^\W_]++(?:['-][^\W_]++)*+|[!?]")
_treebank = NLTKWordTokenizer()


def chunks(text: str) -> list[str]:
    """Lower-cased pieces of `text` between white space, markup taken out first.

    Markup goes before punctuation does, or else ``<br />`` would leave the word "br". Entities
    such as ``&amp;`` become their characters.
    """
    return _without_markup(text).lower().split()


def pieces(text: str) -> list[str]:
    """What `chunks` returns, as many of them, but in the case in which they were written."""
    return _without_markup(text).split()


def _without_markup(text: str) -> str:
    if "<" in text:
        text = _MARKUP.sub(" ", text)
    return html.unescape(text) if "&" in text else text


@lru_cache(maxsize=2**20)  # at about 200 bytes an entry, at most 200 MB on endless data
def chunk_words(chunk: str) -> tuple[str, ...]:
    """The words in one piece returned by `chunks`, without numbers, punctuation and stop words.

    Curly apostrophes become straight ones, without which "don’t" would lose its negation.
    NLTK's Treebank rules then split contractions ("didn't" → "did", "n't"). They cut inside a
    run of letters only there, so they are run only where a contraction may be.
    """
    return tuple(
        word for part in _parts(chunk) for word in _WORD.findall(part) if word not in STOP_WORDS
    )


@lru_cache(maxsize=2**20)
def chunk_tokens(chunk: str) -> tuple[str, ...]:
    """Every word in one piece returned by `chunks`, in order: stop words and numbers too, and each
    "!" and "?"."""
    return tuple(token for part in _parts(chunk) for token in _TOKEN.findall(part))


def _parts(chunk: str) -> Sequence[str]:
    """A chunk cut by Treebank's rules; as it is where they would cut no word."""
    chunk = chunk.translate(_APOSTROPHES)
    return _treebank.tokenize(chunk) if _CONTRACTION.search(chunk) else (chunk,)


def clean(text: str) -> list[str]:
    """The words of a review, in order, as the report cleans them (its 2nd step).

    Markup out, lower case, Treebank tokens, then punctuation, numbers and stop words out;
    negations (`NEGATIONS`) stay.

    >>> clean("I did NOT like it.<br />It isn't worth 10 dollars!")
    ['not', 'like', "n't", 'worth', 'dollars']
    """
    return [word for chunk in chunks(text) for word in chunk_words(chunk)]


def tokens(text: str) -> list[str]:
    """All words of a review, in order, for networks that read them one after another.

    >>> tokens("It isn't worth 10 dollars!<br />A well-made mess...")
    ['it', 'is', "n't", 'worth', '10', 'dollars', '!', 'a', 'well-made', 'mess']
    """
    return [token for chunk in chunks(text) for token in chunk_tokens(chunk)]
