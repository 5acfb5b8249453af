"""Sources of known flux, put into the input and measured in what the denoiser makes of it; needs no truth."""
