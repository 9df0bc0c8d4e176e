"""Kernels that somebody else built: an image or its symbols, a source tree and a configuration enter; whose the symbols
are, and what each answer rests on, leaves.

    subject         an image or the text of /proc/kallsyms -> the symbols to attribute
    recipe          a tree and a configuration -> the objects in link order, the modules
    dwarf           names and ranges of compile units        -> claims
    builtin_ranges  what the distribution says itself        -> claims
    filesymbols     names of files among local symbols       -> claims
    names           names of functions in the source         -> claims
    whose           claims, best evidence first -> the attribution, which is kallsyms.attributed as text
"""
