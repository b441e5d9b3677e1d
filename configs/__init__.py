"""Experiments: `base` holds every setting, each other file is a delta on it."""
