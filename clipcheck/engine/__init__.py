"""Runs rules over files and applies their fixes."""
