"""Judging images: against a reference, without one, and whole folders of them. Prints nothing."""
