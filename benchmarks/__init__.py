"""Programs that measure speed, quality and reliability; docs/benchmarks.md says how to run them."""
