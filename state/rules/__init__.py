"""Segment rules: the features they may read, their language, their compiled form, and who is a member since when."""
