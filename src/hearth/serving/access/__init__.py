"""Who may call, and how often: API keys with scopes, and limits of requests. Services translate the headers of their protocol."""

from hearth.serving.access.keys import ADMIN, ALERT, FEEDBACK, PREDICT, READ, Key, Keys
from hearth.serving.access.policy import Access, Caller

__all__ = ["ADMIN", "ALERT", "FEEDBACK", "PREDICT", "READ", "Access", "Caller", "Key", "Keys"]
