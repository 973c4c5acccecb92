"""Characters that are not white space, the same number as `empty` but with a bound of its own.

A bound in words (bicleaner-hardrules, no_too_short) would need a word splitter for Chinese, Japanese and Thai.
"""

from pairmill.curate.heuristics.empty import VERSION, score

__all__ = ["VERSION", "score"]
