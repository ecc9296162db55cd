"""Submissions: the folder of a record or of a study, and the checks on such a folder. Nothing is sent anywhere."""
