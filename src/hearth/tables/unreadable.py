"""The error of this room. Its callers know what the file is called, and raise an error of their own."""


class UnreadableTable(ValueError):
    """A file is no table; the message says why, as a sentence."""
