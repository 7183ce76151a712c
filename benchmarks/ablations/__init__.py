"""What the settings, networks, losses and data of each method are worth, and figures that only one method has."""
