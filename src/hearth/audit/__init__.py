"""Who did what to which version, record or backup, from where, and whether it was allowed: docs/audit.md.

entry         a row of the trail, and what can stand in it
actor         who acts: the holder of a key, a task of Airflow, a user of this machine, Hearth itself
store         the table, to which rows can only be added
trail         `record`, for whatever acts; nothing is lost while the store is away
reads         reads of stored predictions, of which those of a minute are one row
minutes       counts by caller and minute
refused_keys  API keys that were refused, counted so
reports       labels that were reported, counted so, and files of them
"""

from hearth.audit.actor import Actor, acting, current_actor
from hearth.audit.entry import Action, Entry, Result, new_entry
from hearth.audit.refused_keys import RefusedKeys
from hearth.audit.store import AuditStore
from hearth.audit.trail import AuditTrail, Draft, NoTrail, Trail, open_trail, recorded

__all__ = [
    "Action",
    "Actor",
    "AuditStore",
    "AuditTrail",
    "Draft",
    "Entry",
    "NoTrail",
    "RefusedKeys",
    "Result",
    "Trail",
    "acting",
    "current_actor",
    "new_entry",
    "open_trail",
    "recorded",
]
