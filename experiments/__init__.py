"""Experiments of published work, run with the package."""
