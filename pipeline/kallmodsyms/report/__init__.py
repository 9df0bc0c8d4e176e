"""What a kernel is made of, byte by byte: a page to look at, and the same numbers to compute with."""
