"""The REST service: raw records in, predictions of the aliased models out."""
