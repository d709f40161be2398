"""Hearth: the shared package. Contracts, training, the registry, scoring and the stream; services are built on it."""
