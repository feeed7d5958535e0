"""The command line: arguments in, one call, figures out."""

import argparse
import json
import sys

import sentiment_helpers as sh


def main(arguments: list[str] | None = None) -> int:
    """Run `python -m sentiment_helpers`; the exit status is 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m sentiment_helpers", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    score = commands.add_parser("score", help="score the reviews of a CSV or tab-separated file")
    score.add_argument("model", help="a .pt file that sentiment_helpers.save wrote")
    score.add_argument("reviews", help="a file with a column named review")
    score.add_argument("--output", help="where to write the reviews with their predictions")
    score.add_argument("--json", action="store_true", help="print the figures as a line of JSON")
    show = commands.add_parser("show", help="what saved models are, and what they measured")
    show.add_argument("models", nargs="+", help=".pt files")
    study = commands.add_parser("study", help="train networks of many depths, about an hour")
    study.add_argument("results", help="the JSON file for what they measure; one that is there "
                       "already is gone on with")  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        if options.command == "study":
            return sh.study.run_study(options.results) or 0
        return _score(options) if options.command == "score" else _show(options)
    except (sh.CheckpointError, sh.ReviewFileError, sh.study.StudyFileError, OSError) as error:
        print(error, file=sys.stderr)
        return 2


def _score(options: argparse.Namespace) -> int:
    report = sh.score_csv(
        sh.load(options.model), options.reviews, options.output, verbose=sys.stderr.isatty()
    )
    figures = {"rows": report.rows, "scored": report.scored}
    if report.scores is not None:
        names = ("accuracy", "precision", "recall", "f1", "roc_auc", "loss")
        figures |= {name: getattr(report.scores, name) for name in names}
    if options.json:
        # One class alone has no area under its curve; JSON's word for that is null.
        print(json.dumps({k: None if v != v else v for k, v in figures.items()}))
    else:
        print(", ".join(f"{k} {v:,}" if isinstance(v, int) else f"{k} {v:.4f}"
                        for k, v in figures.items()))  # fmt: skip
        if options.output:
            print(f"written to {options.output}")
    return 0


def _show(options: argparse.Namespace) -> int:
    for path in options.models:
        model = sh.load(path)
        if isinstance(model, sh.Together):
            weights = ", ".join(f"{weight:.2f}" for weight in model.weights_)
            print(f"{path}: {model.title}\n  weights of their log-odds: {weights}")
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
    return 0


if __name__ == "__main__":
    sys.exit(main())
