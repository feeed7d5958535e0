"""Trains networks and writes what they measure: `make study`, `make official`."""

import argparse
import signal
import sys

from sentiment_helpers.report.official import run_official
from sentiment_helpers.report.study import run_study
from sentiment_helpers.storage.files import sentence


def main(arguments: list[str] | None = None) -> int:
    """Run `python -m sentiment_helpers.report`; the exit status is 2 for a bad file."""
    parser = argparse.ArgumentParser(prog="python -m sentiment_helpers.report", description=__doc__)
    parser.add_argument("results", help="a JSON file; an existing study is resumed (an hour)")
    parser.add_argument("--official", action="store_true", help="aclImdb's two halves, no study")
    given = parser.parse_args(arguments)
    try:
        (run_official if given.official else run_study)(given.results)
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
