"""Trains networks and measures them: `make study`, `make models`, `make official`."""

import argparse

from sentiment_helpers.files import sentence
from sentiment_report.shipped import run_models, run_official, run_seeds
from sentiment_report.study import run_study

KINDS = {"study": run_study, "seeds": run_seeds, "models": run_models, "official": run_official}


def main(arguments: list[str] | None = None) -> None:
    """Run `python -m sentiment_report`; the exit status is 2 for a bad file."""
    parser = argparse.ArgumentParser(prog="python -m sentiment_report", description=__doc__)
    help = "small networks of many kinds; other seeds; the saved models; their figures"
    parser.add_argument("kind", choices=KINDS, help=help)
    parser.add_argument("results", help="a JSON file (a study or seeds are resumed), or a folder")
    given = parser.parse_args(arguments)
    try:
        KINDS[given.kind](given.results)
    except KeyboardInterrupt:
        parser.exit(130, "interrupted\n")
    except (ValueError, OSError) as error:
        parser.exit(2, f"{sentence(error)}\n")


if __name__ == "__main__":
    main()
