"""What a run would keep if one threshold were another: exact, without running it again.

A row is kept at a threshold if it passes all other rules and this one, no opt-out names it, no evaluation set has it,
and no duplicate removes it. So for each *lever*, a bound of a rule (`levers`), and each *point*, a threshold on it:

1. Rows that pass everything else are counted by the first point at which they pass (`rows`), from the scores and
   decisions that the stage select wrote; no text is read.
2. Groups of duplicates do not depend on thresholds; which of a group's rows stay does. `groups` compares the rows of
   each group with each other once, and then repeats the walk of `decide` at each point where a row joins the group.
3. Kept is the first less what duplicates remove (`curves`). At the threshold of the run it must be what the run kept.

Points are numbered as they let more pass: upwards for a max, downwards for a min. A row's *cell* is the number of the
first point at which it passes.
"""
