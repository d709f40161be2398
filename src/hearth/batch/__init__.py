"""Batches: objects of a bucket or files, scored chunk by chunk, in memory that does not grow with them; a run that was killed goes on.

objects   what is scored: files, folders, prefixes of the object store
output    where results go, whole or not at all
readers   an object as chunks of rows, nothing converted
chunk     the pure function: a chunk in; predictions and rejected rows out
results   a scored chunk as Parquet, rejected rows as CSV
manifest  what was done, a line a chunk
sample    the records of a batch that count for drift
runner    objects one after the other, and the summary
"""
