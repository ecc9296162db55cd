"""Is a score legal? Tests of what a way of scoring does, on a real artifact: every rule passes, fails, or is not checked."""
