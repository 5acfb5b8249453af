"""What denoising took away, and the error that this tells; needs no truth."""
