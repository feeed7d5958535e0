"""A review's words, in order. Knows nothing of vectors or tables.

A review is cut at white space into chunks, and the words of a chunk do not depend on the others:
most chunks recur, so that for many reviews (`corpus.py`) each *distinct* one is read once.
"""

import html
import re
from collections.abc import Iterable, Iterator

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

APOSTROPHES = "‘’`´"
_HALVES = re.compile("[\ud800-\udfff]")  # of characters, which nothing but Python can hold
# Tags, and comments without another one's beginning inside: so nothing is scanned twice.
_MARKUP = re.compile(r"<(?:!--(?:[^<-]|<(?!!--)|-(?!->))*+--|/?[A-Za-z][^<>]*)>")
# A line with what a Treebank contraction needs: an apostrophe, or one of its six fused words. What
# is longer than a thousand characters is no word, and could keep its patterns busy for minutes.
_CONTRACTION = re.compile(r"(?m)^(?!.{1001}).*?(?:'|cannot|gimme|gonna|gotta|lemme|wanna).*$")
# Treebank's own rule for the full stop that ends a sentence, but before any white space.
FULL_STOP = re.compile(r"(?<=[^.])(\.)([\])}>\"'»”’]*+)(?=\s)")
# Letters, with hyphens and apostrophes inside; nothing of a token that touches a digit.
WORD = re.compile(r"(?<![^\W_])[^\W\d_]++(?:['-][^\W\d_]++)*+(?!\d)|\n")
# What `tokens` keeps of a token: letters and digits, with hyphens and apostrophes inside; the short
# forms that Treebank's rules split off ("n't", "'s"); marks that carry feeling.
TOKEN = re.compile(r"(?:(?<!\S)'|(?<![^\W_]))[^\W_]++(?:['-][^\W_]++)*+|[!?]|\n")
TREEBANK = 2**18  # characters given to it at a time: each of its patterns has to end in 5 seconds
_treebank = NLTKWordTokenizer()


def plain(text: str) -> str:
    """`text` in lower case, markup taken out first.

    Markup goes before punctuation does, or else ``<br />`` would leave the word "br". Entities
    such as ``&amp;`` become their characters.
    """
    return _without_markup(text).lower()


def chunks(text: str) -> list[str]:
    """The pieces of `plain` text between white space."""
    return plain(text).split()


def pieces(text: str) -> list[str]:
    """What `chunks` returns, as many of them, but in the case in which they were written."""
    return _without_markup(text).split()


def _without_markup(text: str) -> str:
    if "<" in text:
        text = _MARKUP.sub(" ", text)
    text = html.unescape(text) if "&" in text else text
    return text if text.isascii() else _HALVES.sub("\ufffd", text)


def chunk_words(chunks: Iterable[str]) -> list[str]:
    """The words in pieces returned by `chunks`, in order, without numbers, punctuation and stop
    words; a "\\n" stands behind those of each piece.

    Curly apostrophes become straight ones, without which "don’t" would lose its negation.
    NLTK's Treebank rules then split contractions ("didn't" → "did", "n't").
    """
    return [word for word in WORD.findall(_cut(chunks)) if word not in STOP_WORDS]


def chunk_tokens(chunks: Iterable[str]) -> list[str]:
    """Every word in pieces returned by `chunks`, in order: stop words and numbers too, and each
    "!" and "?"; a "\\n" stands behind those of each piece."""
    return TOKEN.findall(_cut(chunks))


def _cut(chunks: Iterable[str]) -> str:
    """The pieces, a line each, with a space where Treebank's rules cut.

    They cut inside a run of letters only at a contraction, so only pieces with one are given to
    them; and all at once, since thirty patterns take as long to start as to read a page.
    """
    lines = "\n".join([*chunks, ""]).replace("\0", "")
    for apostrophe in APOSTROPHES:
        lines = lines.replace(apostrophe, "'")
    cut = []
    for some in _batches(_CONTRACTION.findall(lines)):
        text = " \0 ".join([*some, ""])  # a word of its own parts the pieces
        tokens = _treebank.tokenize(FULL_STOP.sub(r" \1 \2 ", text))
        cut += " ".join(tokens).split("\0")[:-1]
    cut = iter(cut)
    return _CONTRACTION.sub(lambda _: next(cut), lines)


def _batches(pieces: list[str]) -> Iterator[list[str]]:
    """The pieces in order, some `TREEBANK` characters at a time."""
    batch, characters = [], 0
    for piece in pieces:
        batch.append(piece)
        characters += len(piece)
        if characters > TREEBANK:
            yield batch
            batch, characters = [], 0
    yield batch


def clean(text: str) -> list[str]:
    """The words of a review, in order, as the report cleans them (its 2nd step).

    Markup out, lower case, Treebank tokens, then punctuation, numbers and stop words out;
    negations (`NEGATIONS`) stay.

    >>> clean("I did NOT like it.<br />It isn't worth 10 dollars!")
    ['not', 'like', "n't", 'worth', 'dollars']
    """
    return [word for word in chunk_words(chunks(text)) if word != "\n"]


def tokens(text: str) -> list[str]:
    """All words of a review, in order, for networks that read them one after another.

    >>> tokens("It isn't worth 10 dollars!<br />A well-made mess...")
    ['it', 'is', "n't", 'worth', '10', 'dollars', '!', 'a', 'well-made', 'mess']
    """
    return [token for token in chunk_tokens(chunks(text)) if token != "\n"]
