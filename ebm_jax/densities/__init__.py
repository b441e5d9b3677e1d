"""Log densities as pure functions: Gaussians, hierarchical priors, likelihoods, tilts."""
