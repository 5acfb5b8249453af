"""Sources that are found in images, and which of them are true."""
