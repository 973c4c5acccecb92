"""Vectors of texts: the engine that makes them, the job that runs it over many files, and how others read them."""
