"""Image quality measures: with a reference, without one, and for whole folders. Prints nothing."""
