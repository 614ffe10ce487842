"""One module per layout: each turns entries of a Source into Rows."""
