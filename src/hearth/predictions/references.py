"""Which versions and processed data the predictions store names: what housekeeping must leave where it is."""

from psycopg.rows import tuple_row

from hearth.predictions.store import PredictionStore

# Both of a rollout, whatever became of it: its page compares them
_DEPLOYED = """
    SELECT dataset, version FROM rollouts UNION SELECT dataset, champion FROM rollouts
    UNION SELECT dataset, version FROM retrains WHERE version IS NOT NULL
"""
_DIGESTS = "SELECT DISTINCT dataset, digest FROM retrains WHERE digest IS NOT NULL"
# By the index on data set, version and time: one look, however many rows there are
_STORED = "SELECT EXISTS (SELECT FROM predictions WHERE dataset = %s AND version = %s)"


class ReferenceStore(PredictionStore):
    """The predictions store as what names versions. Every method raises PredictionsUnavailable if it does not answer."""

    def deployed_versions(self) -> set[tuple[str, str]]:
        """Return data set and number of each version that a rollout or a retraining names."""
        with self._reading(tuple_row) as cursor:
            return {(str(dataset), str(version)) for dataset, version in cursor.execute(_DEPLOYED).fetchall()}

    def retrained_digests(self) -> set[tuple[str, str]]:
        """Return data set and digest of the data of each retraining."""
        with self._reading(tuple_row) as cursor:
            return {(str(dataset), str(digest)) for dataset, digest in cursor.execute(_DIGESTS).fetchall()}

    def has_predictions_of(self, dataset: str, version: str) -> bool:
        """Return whether a stored prediction, also a challenger's, is of a version."""
        with self._reading(tuple_row) as cursor:
            (found,) = cursor.execute(_STORED, (dataset, version)).fetchone() or (False,)
            return bool(found)
