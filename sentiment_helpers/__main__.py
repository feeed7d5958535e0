"""The command line: arguments in, one call, figures out."""

import argparse
import json
import os
import signal
import sys

import sentiment_helpers as sh
from sentiment_helpers.storage.files import FileError, one_line


def main(arguments: list[str] | None = None) -> int:
    """Run `python -m sentiment_helpers`; the exit status is 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m sentiment_helpers", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    score = commands.add_parser("score", help="score the reviews of a CSV or tab-separated file")
    score.add_argument("model", help="a .pt file that sentiment_helpers.save wrote")
    score.add_argument("reviews", help="a file with a column of reviews, packed by gzip too; - is "
                       "standard input")  # fmt: skip
    score.add_argument("--output", help="where to write the reviews with their predictions, packed "
                       "if it ends in .gz; - is standard output")  # fmt: skip
    score.add_argument("--force", action="store_true", help="replace an output that is there")
    score.add_argument("--column", default="review", help="the column of reviews (review)")
    score.add_argument("--encoding", default="utf-8", help="of the file, such as cp1252 (utf-8)")
    score.add_argument("--workers", type=_count, default=1, metavar="N",
                       help="processes that score (1)")  # fmt: skip
    score.add_argument("--json", action="store_true", help="print the figures as a line of JSON")
    show = commands.add_parser("show", help="what saved models are, and what they measured")
    show.add_argument("models", nargs="+", help=".pt files")
    study = commands.add_parser("study", help="train networks of many depths, about an hour")
    study.add_argument("results", help="the JSON file for what they measure; one that is there "
                       "already is gone on with")  # fmt: skip
    for command in (score, show, study):
        command.add_argument("--debug", action="store_true", help="show where an error came from")
    for stream, mode in [("stdin", "r"), ("stdout", "w"), ("stderr", "w")]:
        if getattr(sys, stream) is None:  # closed by who called
            setattr(sys, stream, open(os.devnull, mode))  # noqa: SIM115
    options = parser.parse_args(arguments)
    if options.command == "score" and options.json and options.output == "-":
        score.error("--json and --output - would both write to standard output")
    try:
        if options.command == "study":
            from sentiment_helpers.report.study import run_study

            run_study(options.results)
        else:
            (_score if options.command == "score" else _show)(options)
        sys.stdout.flush()  # or nobody would hear of what cannot be written
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if options.debug:
            raise
        return _refuse(error)


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"{text} is no number from 1 to 1024")
    return int(text)


def _refuse(error: Exception) -> int:
    """Say in a line what is wrong; the exit status."""
    if isinstance(error, BrokenPipeError):  # what read our output has read enough, and is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    bad = (FileError, OSError)
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename or 'output'}: {error.strerror}"
    elif not isinstance(error, bad):
        text = f"unexpected {type(error).__name__}: {text} (--debug shows where)"
    print(one_line(text), file=sys.stderr)
    return 2 if isinstance(error, bad) else 1


def _score(options: argparse.Namespace) -> None:
    report = sh.score_csv(
        sh.load(options.model),
        options.reviews,
        options.output,
        column=options.column,
        encoding=options.encoding,
        workers=options.workers,
        overwrite=options.force,
        verbose=sys.stderr.isatty(),
    )
    print(report, file=sys.stderr)
    if options.json:
        names = ("rows", "scored", "empty", "without_known_word", "known_words", "undecided",
                 "unreadable", "rows_per_second")  # fmt: skip
        figures = {name: getattr(report, name) for name in names}
        figures |= report.scores._asdict() if report.scores else {}
        # One class alone has no area under its curve; JSON's word for that is null.
        print(json.dumps({k: None if v != v else v for k, v in figures.items()}))


def _show(options: argparse.Namespace) -> None:
    for path in options.models:
        model = sh.load(path)
        if isinstance(model, sh.Blend):
            weights = ", ".join(f"{weight:.2f}" for weight in model.weights_)
            print(f"{path}: {one_line(model.title)}\n  weights of their log-odds: {weights}")
            continue
        classifier = model[-1]
        if not hasattr(classifier, "history_"):  # one of scikit-learn's
            print(f"{path}: {classifier}")
            continue
        best = classifier.history_.loc[classifier.best_epoch_]
        print(
            f"{path}: {classifier}\n  validation accuracy {best.valid_accuracy:.4f}, "
            f"F1 {best.valid_f1:.4f}, AUC {best.valid_roc_auc:.4f}, loss {best.valid_loss:.4f} "
            f"(epoch {classifier.best_epoch_} of {len(classifier.history_)})"
        )


if __name__ == "__main__":
    # Who ends us politely is heard as Ctrl-C is: no half-written file stays.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
