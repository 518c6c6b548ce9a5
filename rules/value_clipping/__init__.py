"""Values that are clipped: activations, probabilities, losses, parameters by hand."""
