"""Measures against the sky as it truly is, which a simulation knows."""
