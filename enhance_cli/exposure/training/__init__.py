"""Training of the exposure predictor."""
