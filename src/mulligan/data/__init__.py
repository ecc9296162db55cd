"""The data stage: text or shards -> Corpus."""
