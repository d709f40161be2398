"""A client of Hearth's REST service."""
