"""The smoke test: a submission's model imported, built and run once on CPU, in a process that can reach nothing."""
