"""Sources searched in images, and what of them is true.

`searchrun` does it for a run: scores of `matched`, where and for what in `searchfield`, found and matched in
`detection`, judged in `completeness`, tables in `detectiontables`, drawn in `detectionplot`; `dual` measures
what was found, `falsealarm` searches pure noise.
"""
