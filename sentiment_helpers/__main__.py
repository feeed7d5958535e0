"""Scores files of reviews with saved models, and shows what the models are."""

import argparse
import json
import os
import re
import signal
import sys
import threading
import warnings

import sentiment_helpers as sh
from sentiment_helpers.storage.files import FileError, one_line, sentence


def main(arguments: list[str] | None = None) -> int:
    """Run `python -m sentiment_helpers`; the exit status is 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m sentiment_helpers", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    score = commands.add_parser("score", help="score the reviews of a CSV or tab-separated file")
    score.add_argument("model", help="a .pt file that sentiment_helpers.save wrote")
    score.add_argument("reviews", help="a file, also as .gz or .zip; - is standard input")
    score.add_argument("--output", help="file for the reviews and their predictions, compressed "
                       "if it ends in .gz; - is standard output")  # fmt: skip
    score.add_argument("--force", action="store_true", help="replace an existing output")
    score.add_argument("--column", default="review", help="the column of reviews (review)")
    score.add_argument("--encoding", default="utf-8", help="of the file, such as cp1252 (utf-8)")
    score.add_argument("--workers", type=_count, default=1, help="processes that score (1)")
    score.add_argument("--json", action="store_true", help="print the figures as a line of JSON")
    show = commands.add_parser("show", help="show what models are, and their validation figures")
    show.add_argument("models", nargs="+", help=".pt files")
    for command in (score, show):
        command.add_argument("--debug", action="store_true", help="show where an error came from")
    for stream, mode in [("stdin", "r"), ("stdout", "w"), ("stderr", "w")]:
        if getattr(sys, stream) is None:  # closed by the calling process
            setattr(sys, stream, open(os.devnull, mode))  # noqa: SIM115
    options = parser.parse_args(arguments)
    if options.command == "score" and options.json and options.output == "-":
        score.error("--json and --output - would both write to standard output")
    try:
        (_score if options.command == "score" else _show)(options)
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


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 to 1024")
    return int(text)


def _score(options: argparse.Namespace) -> None:
    report = sh.score_csv(
        sh.load(options.model), options.reviews, options.output, column=options.column,
        encoding=options.encoding, workers=options.workers, overwrite=options.force,
        verbose=sys.stderr.isatty(),
    )  # fmt: skip
    print(report, file=sys.stderr)
    if options.json:
        names = "rows scored empty without_known_word known_words undecided unreadable"
        figures = {name: getattr(report, name) for name in f"{names} rows_per_second".split()}
        figures |= report.scores._asdict() if report.scores else {}
        figures |= {"label_error": report.label_error} if report.label_error else {}
        # JSON has no NaN, which the area under the curve is if only one class occurs.
        print(json.dumps({k: None if v != v else v for k, v in figures.items()}))


def _show(options: argparse.Namespace) -> None:
    for path in options.models:
        model = sh.load(path)
        if isinstance(model, sh.Blend):
            weights = ", ".join(f"{weight:.2f}" for weight in model.weights_)
            print(f"{path}: {one_line(model.title)}\n  weights of their log-odds: {weights}")
            continue
        best = model[-1].history_.loc[model[-1].best_epoch_]
        print(
            f"{path}: {model[-1]}\n  validation accuracy {best.valid_accuracy:.4f}, "
            f"F1 {best.valid_f1:.4f}, AUC {best.valid_roc_auc:.4f}, loss {best.valid_loss:.4f} "
            f"(epoch {best.name} of {len(model[-1].history_)})"
        )


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
