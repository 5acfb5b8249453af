"""Bricks as astronomers look at them: `draw` pictures the parts that `zones` chooses, in `colour`."""
