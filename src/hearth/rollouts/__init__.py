"""Rollouts: a version is tried on a share of the champion's requests, and becomes champion or is rolled back. Known to jobs and to serving.

counts      what a version did: answers, errors, a histogram of times
statistics  tests that may be asked after every answer
decision    stay, step forward or roll back: pure
start       how a rollout starts, from a training or by a person
moves       what the registry must say at each state, in an order that a crash cannot harm
"""
