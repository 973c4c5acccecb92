"""Statistics of many rows in little memory. Those of parts merge into exactly those of the whole, in any order.

So a run's report is the same whatever its shards were and in whatever order they were done. That rules out the usual
quantile sketches (KLL flips coins that nobody can seed; a t-digest depends on the order of merges): quantiles are those
of a seeded sample here.
"""
