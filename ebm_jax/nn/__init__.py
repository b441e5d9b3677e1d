"""Layers and transformations of parameters that any model may use."""
