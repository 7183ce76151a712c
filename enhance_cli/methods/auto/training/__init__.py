"""Training of the chooser."""
