"""Speed, memory and scale, measured beside other implementations of the same work."""
