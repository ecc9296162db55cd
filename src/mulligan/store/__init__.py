"""Keys, objects and provenance on a filesystem; knows nothing of machine learning, imports no torch."""
