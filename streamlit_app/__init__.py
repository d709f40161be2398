"""The page for people: predict, score a file, watch the stream, manage the models. It talks HTTP only."""
