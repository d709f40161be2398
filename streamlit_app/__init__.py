"""The page for people: predict, score a file, watch the stream, look after the models. It talks HTTP only."""
