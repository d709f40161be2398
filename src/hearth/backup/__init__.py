"""Backups of the whole stack: databases, object store and streams, encrypted, consistent with each other. docs/backup.md, ADR 0027."""
