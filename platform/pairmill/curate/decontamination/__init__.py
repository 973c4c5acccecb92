"""Rows that hold texts of evaluation sets (leaks) are found, recorded, and rejected as `contaminated`.

1. `evaluation`: the driver reads the evaluation files, cleans their texts as rows are cleaned, folds and counts them
   once each, and publishes an `index` to the storage: all workers use the same, and the run id changes with it.
2. `stages.scan_shard`, per shard: `search` finds the rows that share enough with an evaluation text, and commits them.
   The unit's key is the shard's annotations and the index, so another list annotates nothing again.
3. `stages.merge`, one task: n-grams that many rows have without the rest of the text are common phrases; what rests on
   them alone is no leak. What is left goes to decide and select by shard, and to the report.

A leak is one of these; a text's size is counted in letters (see `tokens`), so that they hold in all scripts:
- *exact*: a side is the text (two words and 8 letters or more; below that every `OK` would be one);
- *changed*: a side is the text but for one word changed, added or left out (24 letters and three words are the same;
  with fewer it is another sentence of the same pattern), or a longer side holds it so (texts of an n-gram or more);
- *inside*: a longer side holds the whole text (24 letters or n words: what is shorter stands in any page); if it is
  shorter than an n-gram it must begin or end a sentence there, or it is a phrase of another sentence;
- *overlap*: a side holds `min_share` of the text in n-grams, and no less than two n-grams of it.
"""
