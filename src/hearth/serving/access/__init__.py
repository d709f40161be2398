"""Who may call, and how often: API keys with scopes, and limits of requests. Services translate the headers of their protocol."""

from hearth.serving.access.keys import ADMIN, PREDICT, Key, Keys
from hearth.serving.access.policy import Access

__all__ = ["ADMIN", "PREDICT", "Access", "Key", "Keys"]
