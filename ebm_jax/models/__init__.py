"""Networks as pure functions: generators, inference nets, energies and their composition."""
