"""The final link: objects and a linker in, vmlinux with base and module tables out.

exports      what make exports, auto.conf -> what the other modules ask of the build
recipe       exported variables -> the commands that link an image and assemble its tables
script       the tree's own script, before Linux 6.1 -> the link that it was about to do
relocatable  vmlinux.a -> what vmlinux.o does not tell of its objects
tables       an image, its map, modules_thick.builtin -> ranges; tables
passes       objects -> image after image, until the tables fit
fill         an image, its tables -> the image with the tables filled in, and checked
coverage     a map, an image, its tables -> bytes of text that nobody owns; whether anything was lost
btf          an image with debug data -> an object with .BTF
after        the last image -> vmlinux, System.map, .vmlinux.d
carried      vmlinux, whoever linked it -> whether it has what was asked for

What enters is a build directory whose objects are there (`vmlinux.a` and libraries, or `vmlinux.o`). Beside vmlinux
stay the map, ranges and tables of each pass (`.tmp_vmlinux1.map` and so on), for whoever wants to look. In which order
all this happens on a real tree, `kallmodsyms.hook` knows; on the toy kernel, the task graph.
"""
