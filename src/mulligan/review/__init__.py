"""A submission that this project did not write, read against the rules: nothing of it is executed unless asked."""
