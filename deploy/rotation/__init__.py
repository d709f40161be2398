"""New secrets for old ones, in a stack that goes on running: `hearth secrets`. Standard library and what the embedded stack has."""
