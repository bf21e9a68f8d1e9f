"""Comparisons a reader can run: the product beside its peers, on this machine, in one run."""
