"""The stream of labels: what records turned out to be, read by the process of the worker beside the stream of records."""
