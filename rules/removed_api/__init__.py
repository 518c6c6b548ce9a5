"""Clipping through API that is gone or going."""
