"""The rules of the review, one file each; a code may have several files, and one that has none here is never checked."""
