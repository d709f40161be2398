"""One id from a caller's request to what was stored, labelled and trained from it.

context       which trace the running code belongs to; what logs, stores and clients read
traceparent   the W3C form in which an id comes in and goes out
"""
