"""Training for all methods: one loop, data sets, degradations, export and validation sheets."""
