"""A file of results: JSON with a line for each."""

import json
import logging
import os
from pathlib import Path

import pandas as pd
from joblib import Parallel
from tqdm import tqdm

from sentiment_helpers.storage.files import FileError, written_whole

_log = logging.getLogger(__name__)


def write_results(path: str | os.PathLike, data: dict, results: list[dict]) -> None:
    """Write the file completely or not at all. `data` says what the results were measured on;
    `OSError` if `path` cannot be used."""
    lines = ",\n".join(map(json.dumps, results))
    text = f'{{"data": {json.dumps(data)},\n"results": [\n{lines}\n]}}\n'
    with written_whole(path) as temporary:
        temporary.write_text(text, "utf-8")


def run_jobs(path: str | os.PathLike, data: dict, done: list[dict], jobs: list[tuple]) -> None:
    """Run joblib's `jobs`, each of which gives a list of results, in parallel on all cores. The
    file, which has those that are `done`, is written after each job."""
    results = Parallel(n_jobs=-1, return_as="generator_unordered")(jobs)
    for some in tqdm(results, total=len(jobs), unit="training"):
        done += [result for result in some if result not in done]
        write_results(path, data, done)


def read_results(
    path: str | os.PathLike, data: dict, columns: list[str], target: str
) -> pd.DataFrame:
    """A row for each result in a file that `make TARGET` wrote. Empty, with a logged message, if
    there is no such file; `FileError` if it is another one, or on other `data`."""
    if not Path(path).exists():
        _log.warning("%s is not there: `make %s` writes it", Path(path).name, target)
        return pd.DataFrame(columns=columns)
    try:
        content = json.loads(Path(path).read_text("utf-8"))
        if content["data"] != data:
            raise ValueError
        rows = [[result[name] for name in columns] for result in content["results"]]
    except (ValueError, TypeError, KeyError):
        wrong = f"{path} is not what `make {target}` writes with these settings: move it away"
        raise FileError(wrong) from None
    return pd.DataFrame(rows, columns=columns)
