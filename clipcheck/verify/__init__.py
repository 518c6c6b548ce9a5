"""Proves that what should be bounded is, by running the training script under watch."""
