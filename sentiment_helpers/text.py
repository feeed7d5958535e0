"""Cleaning: a review's words, plainly, piece by piece; a piece is what stands between white space.
`many_texts.py` finds the same words in many reviews, sooner."""

import html
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from unicodedata import category, normalize

if os.path.expanduser("~") == "~":  # a user without a home, for whom NLTK cannot be imported
    os.environ.setdefault("NLTK_DATA", tempfile.gettempdir())
from nltk.tokenize import NLTKWordTokenizer

# Words that reverse a judgement. They are always kept.
NEGATIONS = frozenset("not no nor n't never none nobody nothing neither nowhere without".split())
# NLTK's English list without these and their short forms, as in the report.
STOP_WORDS = frozenset(
    # pronouns and determiners
    "i me my myself we our ours ourselves you your yours yourself yourselves he him his himself "
    "she her hers herself it its itself they them their theirs themselves what which who whom this "
    "that these those a an the all any both each few more most other some such own same "
    # be, have, do and modal verbs; short forms
    "am is are was were be been being have has had having do does did doing will should can "
    "s t d m o y ll ma re ve you're you've you'll you'd she's it's that'll should've "
    "ca wo sha ai "  # what Treebank's rules leave of can't, won't, shan't and ain't, beside n't
    # prepositions, conjunctions and adverbs
    "of at by for with about against between into through during before after above below to from "
    "up down in out on off over under and but if or because as until while than so again further "
    "then once here there when where why how now just only very too".split()
)
# Tags and comments. A comment ends before another one begins, so that no text is scanned twice.
_MARKUP = re.compile(r"<(?:!--(?:[^<-]|<(?!!--)|-(?!->))*+--|/?[A-Za-z][^<>]*)>")
_SURROGATE = re.compile("[\ud800-\udfff]")  # half a character, which no file and no font can show
# Control characters, and those that Unicode calls ignorable: soft hyphens, joiners, directions, …
_INVISIBLE = re.compile(
    "[\0-\x08\x0e-\x1b\x7f\xad\u034f\u061c\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
# Unicode's marks, such as the vowels of many scripts; English is spared the search among them.
_ALL_MARKS = "".join(c for c in map(chr, range(0x300, 0x20000)) if category(c)[0] == "M")
_MARK = rf"(?:(?![\0-\u02ff])[{_ALL_MARKS}])"
_LONE_MARKS = re.compile(rf"(?<![^\W\d_])(?<!{_MARK}){_MARK}++")
# Windows' characters (cp1252) that were read as Latin-1; what looks like ', - or ...
_LOOK_ALIKES = {code: bytes([code]).decode("cp1252", "ignore").lower() for code in range(128, 160)}
_LOOK_ALIKES |= {ord(one): "'" for one in "\x91\x92‘’‛´ʹʻʼʽˈˊˋ՚′‵ꞌ＇｀"}
_LOOK_ALIKES |= {0x2010: "-", 0x2011: "-", 0x2026: "..."}
# What each contraction has: an apostrophe, or it is one of Treebank's six fused words.
CONTRACTION = re.compile("'|cannot|gimme|gonna|gotta|lemme|wanna")
MAX_WORD = 1000  # characters; a longer piece is no word, and can keep Treebank's rules and NFC busy
# Letters and their marks, with hyphens and apostrophes inside; nothing that touches a digit.
_RUN, _START = rf"[^\W\d_]++(?:{_MARK}++[^\W\d_]*+)*+", rf"(?<![^\W_])(?<!{_MARK})"
WORD = re.compile(rf"{_START}{_RUN}(?:['-]{_RUN})*+(?!\d)")
# The same with digits; what Treebank's rules split off ("n't", "'s"); signs that carry feeling.
TOKEN = re.compile(rf"(?:(?<!\S)'|{_START}){_RUN}(?:['-]{_RUN})*+|[!?]".replace(r"\d", ""))
treebank = NLTKWordTokenizer()
# NLTK 3.10.1's rules for opening quotes and dashes, so that older releases find the same words.
_OPENING = re.compile(rf"(?i)'(?<!\w')(?<!{_MARK}')(?!(?:re|ve|ll|m|t|s|d|n)\b)(?=\w)")
treebank.STARTING_QUOTES = [*treebank.STARTING_QUOTES[:-1], (_OPENING, "' ")]
treebank.PUNCTUATION = [(re.compile("[\u2012-\u2015]"), r" \g<0> "), *treebank.PUNCTUATION]


def clean(text: str) -> list[str]:
    """The words of a review, in order, as the report cleans them (2nd step): without markup, in
    lower case, cut by NLTK's Treebank rules; then without punctuation, numbers and stop words.

    >>> clean("I did NOT like it.<br />It isn't worth 10 dollars!")
    ['not', 'like', "n't", 'worth', 'dollars']
    """
    words = [word for piece in pieces(text) for word in WORD.findall(split_contraction(piece))]
    return [word for word in words if word not in STOP_WORDS]


def tokens(text: str) -> list[str]:
    """All words of a review, in order, for networks that read them one after another: stop words
    and numbers, too, and each "!" and "?".

    >>> tokens("It isn't worth 10 dollars!<br />A well-made mess...")
    ['it', 'is', "n't", 'worth', '10', 'dollars', '!', 'a', 'well-made', 'mess']
    """
    return [token for piece in pieces(text) for token in TOKEN.findall(split_contraction(piece))]


def each_text(texts: Iterable[str]) -> Iterator[str]:
    """The texts of a list, a column, an array (N,) or another iterable, or of a table with one
    column. `ValueError` for anything else: a DataFrame iterates as the names of its columns."""
    shape = getattr(texts, "shape", (0,)) if isinstance(texts, Iterable) else ()
    if len(shape) == 2 and shape[1] == 1 and hasattr(texts, "iloc"):
        texts, shape = texts.iloc[:, 0], shape[:1]
    if len(shape) != 1 or isinstance(texts, str | bytes | bytearray | Mapping | set | frozenset):
        raise ValueError(f"a list or one column of texts is needed, not {type(texts).__name__}")
    for n, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"text {n} is {' '.join(repr(text).split()):.80}, which is no string")
        yield text


def pieces(text: str) -> list[str]:
    """What stands between white space in `text` without its markup, as it is written."""
    return without_markup(text).split()


def without_markup(text: str) -> str:
    """`text` without tags and comments; entities such as ``&amp;`` become their characters. This
    comes before punctuation goes, because ``<br />`` would leave the word "br"."""
    text = _MARKUP.sub(" ", text)
    for _ in range(3):  # ``&amp;#39;`` was escaped twice
        if "&" in text:  # Python reads numbers of 4,300 digits
            text = html.unescape(re.sub(r"(&#\d{4000})\d+", r"\1", text))
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def split_contraction(piece: str) -> str:
    """A piece in lower case; a contraction with spaces between its parts: "didn't" → "did n't".
    Only contractions are given to NLTK's Treebank rules, which cut no other run of letters."""
    piece = straighten(piece.lower())
    if len(piece) > MAX_WORD or not CONTRACTION.search(piece):
        return piece
    return " ".join(treebank.tokenize(piece + " "))  # they find some short forms by the space


def straighten(piece: str) -> str:
    """A piece as it looks: nothing invisible in it; accents composed (NFC), the dot of "İ" gone;
    apostrophes straight, or "don’t" loses its negation."""
    if not (piece.isascii() and piece.isprintable()):
        piece = _INVISIBLE.sub("", piece).translate(_LOOK_ALIKES)
        piece = normalize("NFC", piece) if len(piece) <= MAX_WORD else piece
        piece = _LONE_MARKS.sub("^", piece.replace("i\u0307", "i"))
    return piece.replace("`", "'")
