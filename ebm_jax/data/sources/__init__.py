"""Where examples come from: one module per kind of data set, each returning a `Source`."""
