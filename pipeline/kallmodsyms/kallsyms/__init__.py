"""Symbols, ranges and the thick list enter; the kallsyms tables of a kernel leave, and come back as a listing.

    SymbolTable --select--> table order --compress--> tokens ---\\
         |                                                       tables --> assembly (text or .incbin)
         \\--owners (pieces, thick list) --> runs, exceptions ---/

`reader` is the way back: an ELF file enters, the decoded tables leave.
"""
