"""What the benchmark programs share: sets of photos, baselines, figures, timing, sheets and stored results."""
