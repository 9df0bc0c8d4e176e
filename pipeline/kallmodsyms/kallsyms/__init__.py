"""Symbols, ranges and the thick list enter; the kallsyms tables of a kernel leave, and are read back into a listing.

    SymbolTable --select--> table order --compress--> tokens ---\\
         |                                                       tables --> assembly (text or .incbin)
         \\--owners (pieces, thick list) --> runs, exceptions ---/

    ELF file --reader--> Kallsyms --listing--> rows, text, JSON
"""
