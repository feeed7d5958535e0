"""Scores reviews with saved models, and shows what the models are."""

import argparse
import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import distributions
from textwrap import indent

import sentiment_helpers as sh
from sentiment_helpers.files import FileError, one_line, sentence


def main(arguments: list[str] | None = None) -> int:
    """Run `python -m sentiment_helpers`; the exit status is 2 for bad input."""
    for stream, mode in [("stdin", "r"), ("stdout", "w"), ("stderr", "w")]:
        if getattr(sys, stream) is None:  # closed by the calling process
            setattr(sys, stream, open(os.devnull, mode))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # its encoding may lack what is printed
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
        bad_input = isinstance(error, FileError | OSError | UnicodeError)
        unexpected = f"unexpected {type(error).__name__}: {error} (--debug shows where)"
        text = sentence(error) if bad_input else one_line(unexpected)
        # Keyword arguments that a message names become options of this command.
        print(re.sub(r'\((column|encoding|quotes)="(.+?)"\)', r"(--\1 \2)", text), file=sys.stderr)
        return 2 if bad_input else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sentiment_helpers", description=__doc__)
    versions = [found.version for found in distributions(name="sentiment-helpers")]
    parser.add_argument("--version", action="version", version=" ".join(versions[:1]))
    commands = parser.add_subparsers(required=True)
    for run in (_score, _predict, _show):
        text = run.__doc__
        command = commands.add_parser(run.__name__.strip("_"), help=text, description=text)
        command.add_argument("--debug", action="store_true", help="show where an error came from")
        command.set_defaults(run=run)
    score, predict, show = commands.choices.values()
    score.add_argument("model", help="a .pt file, such as models/RNN.pt")
    score.add_argument("reviews", help="a file, also .gz or .zip; - is standard input")
    score.add_argument("--output", help="file to write, also .gz; - is standard output")
    score.add_argument("--force", action="store_true", help="replace an existing output")
    score.add_argument("--column", default="review", help="the column of reviews (review)")
    score.add_argument("--encoding", default="utf-8", help="of the file, such as cp1252 (utf-8)")
    quotes = score.add_argument("--quotes", choices=["doubled", "escaped", "none"])
    quotes.help = "how a quoted cell holds quotation marks; none: all are letters (detected)"
    score.add_argument("--json", action="store_true", help="print the figures as a line of JSON")
    predict.add_argument("model", help="a .pt file, such as models/RNN.pt")
    predict.add_argument("texts", nargs="*", help="reviews; else lines of standard input, in UTF-8")
    show.add_argument("models", nargs="+", help=".pt files")
    show.add_argument("--markdown", action="store_true", help="as for a model card")
    return parser


def _score(options: argparse.Namespace) -> None:
    """Score the reviews of a CSV or tab-separated file."""
    report = sh.score_csv(
        sh.load(options.model), options.reviews, options.output, column=options.column,
        encoding=options.encoding, quotes=options.quotes, overwrite=options.force,
        verbose=sys.stderr.isatty(),
    )  # fmt: skip
    print(report, file=sys.stderr)
    if not options.output:
        print("nothing written: --output FILE keeps the predictions", file=sys.stderr)
    if options.json:
        figures = {k: v for k, v in vars(report).items() if k not in ("scores", "new_scores")}
        for prefix, scores in (("", report.scores), ("new_", report.new_scores)):
            figures |= {prefix + k: v for k, v in (scores._asdict() if scores else {}).items()}
        # JSON has no NaN, which the area under the curve is if only one class occurs.
        print(json.dumps({k: None if v != v else v for k, v in figures.items()}))


def _predict(options: argparse.Namespace) -> None:
    """Print the probability of positive for each text, a line each."""
    from sentiment_helpers.scoring import score_texts

    model, stdin = sh.load(options.model), options.texts in ([], ["-"])
    for texts in _lines_of_stdin() if stdin else [options.texts]:
        probabilities, *_ = score_texts(model, texts)
        print(*("" if p != p else p for p in probabilities.tolist()), sep="\n", flush=True)


def _lines_of_stdin() -> Iterator[list[str]]:
    """The lines that have come, as soon as there is one: who sent it may wait for the answer."""
    rest, more = b"", True
    while more:
        more = sys.stdin.buffer.read1(2**20)
        *lines, rest = (rest + more).split(b"\n")
        lines += [rest] if rest and not more else []
        if lines:
            yield b"\n".join(lines).decode().split("\n")


def _show(options: argparse.Namespace) -> None:
    """Show what models are, what they learned from, and how well they read the reviews that chose
    the epoch."""
    for path in options.models:
        text = _described(sh.load(path))
        if options.markdown:
            print(f"## {one_line(path)}\n", re.sub("(?m)^( *)", r"\1- ", text), "", sep="\n")
        else:
            print(one_line(path), indent(text, "  "), sep="\n")


def _described(model) -> str:
    """What a model is, in lines."""
    *readers, last = [step for _, step in getattr(model, "steps", [("", model)])]
    lines = [f"reads texts by {one_line(repr(reader))}" for reader in readers]
    if hasattr(last, "named_estimators_"):
        weights, (added,) = last.final_estimator_.coef_[0], last.final_estimator_.intercept_
        for (name, member), weight in zip(last.named_estimators_.items(), weights, strict=True):
            lines += [f"{one_line(name)}, log-odds times {weight:.2f}:"]
            lines += [indent(_described(member), "  ")]
        return "\n".join([*lines, f"added to the sum of log-odds: {added:.2f}"])
    if not hasattr(last, "history_"):
        lines += [f"{last.title}: {len(last.weights_):,} weights"]
        return "\n".join([*lines, f"learned from {last.n_train_:,} reviews"])
    best, weights = last.history_.loc[last.best_epoch_], last.network_.parameters()
    trained = f"{datetime.fromtimestamp(last.trained_):%Y-%m-%d %H:%M}"
    lines += [f"{last.title}: {sum(w.numel() for w in weights):,} weights"]
    lines += [f"learned from {last.n_train_:,} reviews, trained {trained}"]
    lines += [f"epoch {best.name} of {len(last.history_)}, chosen on {last.n_valid_:,} others:"]
    lines += [", ".join(f"{name} {best[name]:.4f}" for name in best.index if "valid_" in name)]
    return "\n".join(lines)


if __name__ == "__main__":
    # SIGTERM and a closed terminal do what Ctrl-C does, so that no unfinished file stays.
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup sets it
            signal.signal(number, signal.default_int_handler)
    sys.exit(main())
