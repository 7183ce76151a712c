"""Programs for one method each: what its own settings, networks, losses and data are worth."""
