"""Fitted pipelines in a form that scores a record in microseconds; it agrees with scikit-learn to the last bit or is not used."""
