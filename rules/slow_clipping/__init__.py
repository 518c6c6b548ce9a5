"""Clipping that is right and slow."""
