"""Trains the networks of the study and writes what they measure: `make study`."""

import argparse
import signal
import sys

from sentiment_helpers.report.study import run_study
from sentiment_helpers.storage.files import FileError, sentence


def main(arguments: list[str] | None = None) -> int:
    """Run `python -m sentiment_helpers.report`; the exit status is 2 for a bad file."""
    parser = argparse.ArgumentParser(prog="python -m sentiment_helpers.report", description=__doc__)
    parser.add_argument("results", help="a JSON file; an existing one is resumed (about an hour)")
    path = parser.parse_args(arguments).results
    try:
        run_study(path)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except (FileError, OSError) as error:
        print(sentence(error), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does
    sys.exit(main())
