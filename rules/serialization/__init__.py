"""Clipping that does not survive saving and loading."""
