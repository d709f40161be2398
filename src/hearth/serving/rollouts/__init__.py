"""Tries a candidate on a share of the champion's requests.

router      which version answers a request, and what happens if the candidate fails
counter     what the versions of a running rollout did in this process
reporter    the thread that writes these counts into the store
controller  the thread that steps forward or rolls back; of several processes one acts
"""
