"""Trains networks and writes what they measure: `make study`, `make official`."""

import argparse
import signal
import sys

from sentiment_helpers.report.shipped import run_official, run_seeds
from sentiment_helpers.report.study import run_study
from sentiment_helpers.storage.files import sentence

KINDS = {"study": run_study, "seeds": run_seeds, "official": run_official}


def main(arguments: list[str] | None = None) -> int:
    """Run `python -m sentiment_helpers.report`; the exit status is 2 for a bad file."""
    parser = argparse.ArgumentParser(prog="python -m sentiment_helpers.report", description=__doc__)
    help = "small networks of many kinds; the notebooks' networks with other seeds, or on aclImdb"
    parser.add_argument("kind", choices=KINDS, help=help)
    parser.add_argument("results", help="a JSON file; a study or seeds are resumed")
    given = parser.parse_args(arguments)
    try:
        KINDS[given.kind](given.results)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        print(sentence(error), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does
    sys.exit(main())
