"""What was taken away and what was left in, measured without any truth.

`whiteness` holds input - denoised against the measured noise, `seams` looks for steps at borders of tiles,
`overlaps` for differences of neighbouring bricks, `sure` estimates the error of a denoiser that runs again.
"""
