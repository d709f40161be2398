"""Use cases: each wires the pure parts to the adapters, and is what one DAG task calls."""
