"""Bad input: where it is made, what refusing it may cost, and sound files to make it from."""
