"""Scores reviews with saved models, and shows what the models are."""

import argparse
import json
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime
from importlib.metadata import distributions
from itertools import islice
from textwrap import fill, indent

import sentiment_helpers as sh
from sentiment_helpers.storage.files import FileError, one_line, sentence

PROGRAM = "python -m sentiment_helpers"


def main(arguments: list[str] | None = None) -> int:
    """Run `python -m sentiment_helpers`; the exit status is 2 for bad input."""
    for stream, mode in [("stdin", "r"), ("stdout", "w"), ("stderr", "w")]:
        if getattr(sys, stream) is None:  # closed by the calling process
            setattr(sys, stream, open(os.devnull, mode))  # noqa: SIM115
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.run is _score and options.json and options.output == "-":
        parser.error("--json and --output - would both write to standard output")
    try:
        options.run(options)
        sys.stdout.flush()  # here, where an error is still reported
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if options.debug:
            raise
        if isinstance(error, BrokenPipeError):  # the program that read our output has ended
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        bad_input = isinstance(error, FileError | OSError)
        unexpected = f"unexpected {type(error).__name__}: {error} (--debug shows where)"
        text = sentence(error) if bad_input else one_line(unexpected)
        # Keyword arguments that a message names become options of this command.
        print(re.sub(r'\((column|encoding)="(.+?)"\)', r"(--\1 \2)", text), file=sys.stderr)
        return 2 if bad_input else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    versions = [found.version for found in distributions(name="sentiment-helpers")]
    version = f"sentiment_helpers {versions[0] if versions else '(not installed)'}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(required=True)
    score = _command(commands, _score, "models/RNN.pt reviews.csv --output scored.csv")
    score.add_argument("model", help="a .pt file that sentiment_helpers.save wrote")
    score.add_argument("reviews", help="a file, also as .gz or .zip; - is standard input")
    score.add_argument("--output", help="file for the reviews and their predictions, compressed "
                       "if it ends in .gz; - is standard output")  # fmt: skip
    score.add_argument("--force", action="store_true", help="replace an existing output")
    score.add_argument("--column", default="review", help="the column of reviews (review)")
    score.add_argument("--encoding", default="utf-8", help="of the file, such as cp1252 (utf-8)")
    score.add_argument("--workers", type=_count, default=1, help="processes that score (1)")
    score.add_argument("--json", action="store_true", help="print the figures as a line of JSON")
    predict = _command(commands, _predict, 'models/RNN.pt "What a film!"')
    predict.add_argument("model", help="a .pt file")
    predict.add_argument("texts", nargs="*", help="reviews; without one, or with -, each line of "
                         "standard input is a review, in UTF-8, up to a line feed. A blank line "
                         "is printed for a blank review")  # fmt: skip
    show = _command(commands, _show, "models/RNN.pt")
    show.add_argument("models", nargs="+", help=".pt files")
    return parser


def _command(commands, run: Callable, example: str) -> argparse.ArgumentParser:
    name = run.__name__.strip("_")
    command = commands.add_parser(name, help=run.__doc__, description=run.__doc__)
    command.formatter_class = argparse.RawDescriptionHelpFormatter  # keeps the example in one line
    command.epilog = f"example:\n  {PROGRAM} {name} {example}"
    command.add_argument("--debug", action="store_true", help="show where an error came from")
    command.set_defaults(run=run)
    return command


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 to 1024")
    return int(text)


def _score(options: argparse.Namespace) -> None:
    """Score the reviews of a CSV or tab-separated file."""
    report = sh.score_csv(
        sh.load(options.model), options.reviews, options.output, column=options.column,
        encoding=options.encoding, workers=options.workers, overwrite=options.force,
        verbose=sys.stderr.isatty(),
    )  # fmt: skip
    print(report, file=sys.stderr)
    wrote = "nothing: --output FILE keeps the predictions"
    if options.output:
        place = "standard output" if options.output == "-" else one_line(options.output)
        wrote = f"{report.rows:,} rows with probability and prediction to {place}"
    print(f"wrote {wrote}", file=sys.stderr)
    if options.json:
        figures = vars(report) | (report.scores._asdict() if report.scores else {})
        del figures["scores"]
        # JSON has no NaN, which the area under the curve is if only one class occurs.
        figures = {name: None if value != value else value for name, value in figures.items()}
        print(json.dumps({name: value for name, value in figures.items() if value != ""}))


def _predict(options: argparse.Namespace) -> None:
    """Print the probability of positive for each text, a line each."""
    from sentiment_helpers.scoring import ROWS_AT_ONCE, score_texts

    model, texts, size = sh.load(options.model), iter(options.texts), ROWS_AT_ONCE
    if options.texts in ([], ["-"]):
        texts = _lines_of_stdin()
        size = 1 if sys.stdin.isatty() else size  # a line that is typed is answered at once
    while block := list(islice(texts, size)):
        probabilities, _ = score_texts(model, block)
        print(*("" if p != p else p for p in probabilities.tolist()), sep="\n", flush=True)


def _lines_of_stdin() -> Iterator[str]:
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            yield line.decode()
        except UnicodeDecodeError:
            raise FileError(f"line {number} of standard input is not UTF-8 text") from None


def _show(options: argparse.Namespace) -> None:
    """Show what models are, what they learned from, and their validation figures."""
    for path in options.models:
        print(one_line(path), indent(_described(sh.load(path)), "  "), sep="\n")


def _described(model, is_member: bool = False) -> str:
    """What a model is, in lines; of a blend's member, the parameters are left out."""
    if isinstance(model, sh.Blend):
        weights = ", ".join(f"{weight:.2f}" for weight in model.weights_)
        lines = [f"blend: {one_line(model.title)}"]
        lines += [f"weights of their log-odds: {weights}; added to the sum: {model.intercept_:.2f}"]
        for name, member in model.models:
            lines += [f"{one_line(name)}:", indent(_described(member, is_member=True), "  ")]
        return "\n".join(lines)
    reader, last = model
    names = last.get_params().keys() - {"embeddings", "device", "verbose"}
    values = ", ".join(f"{k}={v!r}" for k, v in vars(last).items() if k in names)
    learned, when, best = "unknown", "unknown", last.history_.loc[last.best_epoch_]
    if last.trained_:
        learned = f"{last.n_train_:,} reviews; {last.n_valid_:,} others chose the epoch"
        if last.n_twin_:
            learned = (
                f"{last.n_train_:,} reviews, all there are; the figures are those of a twin that "
                f"learned from {last.n_twin_:,}, and {last.n_valid_:,} others chose the epoch"
            )
        when = f"{datetime.fromtimestamp(last.trained_):%Y-%m-%d %H:%M}"
    if isinstance(reader, sh.MeanEmbedding):
        read, kind = "the mean of its words' vectors", one_line(f"words of {reader.glove_.name}")
        count, size = reader.glove_.vectors.shape
    else:
        read, kind = f"its words in order, {reader.max_length} at most", "words"
        kind += " and pairs" * hasattr(last, "grams_")
        count = len(getattr(last, "ids_", getattr(last, "grams_", ())))
        size = last.network_.embedding.embedding_dim if count else 0
    vectors = f"{count:,} {kind}, dimensions: {size}"
    if pairs := getattr(last.network_, "pairs", None):
        vectors += f"; {len(pairs.keys) - 1:,} pairs, dimensions: {pairs.size}"
    lines = [
        f"network: {last.title}; {sum(w.numel() for w in last.network_.parameters()):,} weights",
        *([] if is_member else [fill(f"parameters: {values}", 96, subsequent_indent="  ")]),
        f"input of a review: {read}",
        f"vectors: {vectors}",
        f"learned from: {learned}",
        f"trained: {when}",
        f"validation accuracy {best.valid_accuracy:.4f}, F1 {best.valid_f1:.4f}, "
        f"AUC {best.valid_roc_auc:.4f}, loss {best.valid_loss:.4f} "
        f"(reviews that chose epoch {best.name} of {len(last.history_)})",
    ]
    return "\n".join(lines)


def _interrupt_again(ignored) -> None:
    """A `sys.unraisablehook`, since Python ignores a Ctrl-C that arrives in a `__del__`."""
    if ignored.exc_type is KeyboardInterrupt:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    else:
        sys.__unraisablehook__(ignored)


if __name__ == "__main__":
    # SIGTERM does what Ctrl-C does, so that no unfinished file stays.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.unraisablehook = _interrupt_again
    warnings.filterwarnings("ignore", module="joblib.externals.loky")
    sys.exit(main())
