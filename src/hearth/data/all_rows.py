"""The rows of both sets of a split as one table that is read a column at a time: as much of a frame as a description needs."""

from collections.abc import Iterator

import pandas as pd

from hearth.data.cleaning import Split


class AllRows:
    """The features and the classes of the train rows, followed by those of the test rows."""

    def __init__(self, split: Split) -> None:
        self._split = split

    def __len__(self) -> int:
        return len(self._split.y_train) + len(self._split.y_test)

    def items(self) -> Iterator[tuple[str, pd.Series]]:
        """Yield each column by its name; one is in memory at a time."""
        for name in self._split.X_train.columns:
            yield str(name), pd.concat([self._split.X_train[name], self._split.X_test[name]], ignore_index=True)
        yield str(self._split.y_train.name), pd.concat([self._split.y_train, self._split.y_test], ignore_index=True)

    def sketch(self) -> pd.DataFrame:
        """Return two rows of which the same schema is read as of all: a value of each column, and a missing one where any is missing."""
        columns = {}
        for name, column in self.items():
            missing = column.isna()
            ends = [int((~missing).argmax()), int(missing.argmax())]  # without a missing one the first row
            columns[name] = column.iloc[ends].reset_index(drop=True)
        return pd.DataFrame(columns)
