"""Records come in over a Redis stream and are scored by a group of workers; what can never be scored goes to a dead-letter stream."""
