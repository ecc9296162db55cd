"""The train stage: Corpus, seed -> states; the update rule, the schedule, the loop."""
