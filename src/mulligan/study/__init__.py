"""Studies: a question in one file, laid out as arms and seeds, run with the fewest steps, answered with statistics."""
