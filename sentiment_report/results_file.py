"""A file of results: JSON with a line for each."""

import json
import logging
import os
from collections.abc import Callable
from typing import NamedTuple

import pandas as pd
from joblib import Parallel, delayed
from tqdm import tqdm

from sentiment_helpers.files import FileError, path_of, written_whole

_log = logging.getLogger(__name__)


class ResultsFile(NamedTuple):
    """What a file of results holds."""

    target: str  # `make TARGET` writes the file
    data: dict  # what the results were measured on
    columns: list[str]  # the names of each result's values

    def write(self, path: str | os.PathLike, results: list[dict]) -> None:
        """Write the file completely or not at all; `OSError` if `path` cannot be used."""
        lines = ",\n".join(map(json.dumps, results))
        text = f'{{"data": {json.dumps(self.data)},\n"results": [\n{lines}\n]}}\n'
        with written_whole(path) as temporary:
            temporary.write_text(text, "utf-8")

    def read(self, path: str | os.PathLike) -> pd.DataFrame:
        """A row for each result, in `columns`. Empty, with a logged message, if there is no such
        file; `FileError` if it is another one, or on other `data`."""
        if not path_of(path).exists():
            _log.warning("%s is not there: `make %s` writes it", path_of(path).name, self.target)
            return pd.DataFrame(columns=self.columns)
        try:
            content = json.loads(path_of(path).read_text("utf-8"))
            if content["data"] != self.data:
                raise ValueError
            rows = [[result[name] for name in self.columns] for result in content["results"]]
        except (ValueError, TypeError, KeyError):
            wrong = f"{path} is not what `make {self.target}` writes with these settings"
            raise FileError(f"{wrong}: move it away") from None
        return pd.DataFrame(rows, columns=self.columns)

    def run_missing(self, path: str | os.PathLike, train: Callable, planned: list[dict]) -> None:
        """Call `train(one)`, which gives a list of results, for each of the `planned` parameters
        that the file has no result of, in parallel on all cores. The file is written after each
        one. Errors as in `read` and `write`."""
        done = self.read(path).to_dict("records") if path_of(path).exists() else []
        self.write(path, done)  # fails now, not after the first training
        missing = [one for one in planned if not any(one.items() <= row.items() for row in done)]
        jobs = map(delayed(train), missing)
        results = Parallel(n_jobs=-1, return_as="generator_unordered")(jobs)
        for some in tqdm(results, total=len(missing), unit="training"):
            done += [result for result in some if result not in done]
            self.write(path, done)
