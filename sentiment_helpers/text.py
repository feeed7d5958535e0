"""Cleaning: a review's words, plainly, one review at a time.

A review is read piece by piece; a piece is what stands between white space. `fast/many_texts.py`
finds the same words in many reviews, sooner.
"""

import html
import re

from nltk.tokenize import NLTKWordTokenizer

NEGATIONS = frozenset("not no nor n't never none nobody nothing neither nowhere without".split())
"""Words that reverse a judgement. They are always kept."""

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
"""English function words: about those of NLTK's list, without the negations."""

APOSTROPHES = "‘’`´"
# Tags and comments. A comment ends before another one begins, so that no text is scanned twice.
_MARKUP = re.compile(r"<(?:!--(?:[^<-]|<(?!!--)|-(?!->))*+--|/?[A-Za-z][^<>]*)>")
_SURROGATE = re.compile("[\ud800-\udfff]")  # half a character, which no file and no font can show
# What each contraction has: an apostrophe, or it is one of Treebank's six fused words.
CONTRACTION = re.compile("'|cannot|gimme|gonna|gotta|lemme|wanna")
MAX_CONTRACTION = 1000  # characters; a longer piece is no word, and can keep the rules busy
# Letters, with hyphens and apostrophes inside; nothing that touches a digit.
WORD = re.compile(r"(?<![^\W_])[^\W\d_]++(?:['-][^\W\d_]++)*+(?!\d)")
# Letters and digits, with hyphens and apostrophes inside; what Treebank's rules split off ("n't",
# "'s"); marks that carry feeling.
TOKEN = re.compile(r"(?:(?<!\S)'|(?<![^\W_]))[^\W_]++(?:['-][^\W_]++)*+|[!?]")
treebank = NLTKWordTokenizer()
# NLTK 3.10.1's rules for opening quotes and dashes, so that older releases find the same words.
_OPENING = re.compile(r"(?i)(?<!\w)'(?!(?:re|ve|ll|m|t|s|d|n)\b)(?=\w)")
treebank.STARTING_QUOTES = [*treebank.STARTING_QUOTES[:-1], (_OPENING, "' ")]
treebank.PUNCTUATION = [(re.compile("[\u2012-\u2015]"), r" \g<0> "), *treebank.PUNCTUATION]


def clean(text: str) -> list[str]:
    """The words of a review, in order, as the report cleans them (2nd step).

    Without markup, in lower case, cut by NLTK's Treebank rules; then without punctuation, numbers
    and stop words. Negations (`NEGATIONS`) stay.

    >>> clean("I did NOT like it.<br />It isn't worth 10 dollars!")
    ['not', 'like', "n't", 'worth', 'dollars']
    """
    words = [word for piece in pieces(text) for word in WORD.findall(split_contraction(piece))]
    return [word for word in words if word not in STOP_WORDS]


def tokens(text: str) -> list[str]:
    """All words of a review, in order, for networks that read them one after another.

    Stop words and numbers stay, and so does each "!" and "?".

    >>> tokens("It isn't worth 10 dollars!<br />A well-made mess...")
    ['it', 'is', "n't", 'worth', '10', 'dollars', '!', 'a', 'well-made', 'mess']
    """
    return [token for piece in pieces(text) for token in piece_tokens(piece)]


def pieces(text: str) -> list[str]:
    """What stands between white space in `text` without its markup, as it is written."""
    return without_markup(text).split()


def piece_tokens(piece: str) -> list[str]:
    """What `tokens` gives for one of the `pieces` of a text."""
    return TOKEN.findall(split_contraction(piece))


def without_markup(text: str) -> str:
    """`text` without tags and comments; entities such as ``&amp;`` become their characters.

    This comes before punctuation goes, because ``<br />`` would leave the word "br".
    """
    text = html.unescape(_MARKUP.sub(" ", text))
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def split_contraction(piece: str) -> str:
    """A piece in lower case; a contraction with spaces between its parts: "didn't" → "did n't".

    NLTK's Treebank rules cut a run of letters only where it is a contraction, so that no other
    piece needs them.
    """
    piece = straighten(piece.lower())
    if len(piece) > MAX_CONTRACTION or not CONTRACTION.search(piece):
        return piece
    return " ".join(treebank.tokenize(piece + " "))  # they find some short forms by the space


def straighten(text: str) -> str:
    """`text` with straight apostrophes, because "don’t" would lose its negation; without NULs."""
    for apostrophe in APOSTROPHES:
        text = text.replace(apostrophe, "'")
    return text.replace("\0", "")
