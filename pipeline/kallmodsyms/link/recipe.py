"""How an image is linked and its tables are assembled: the variables that make exports enter, commands leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kallmodsyms.link import exports
from kallmodsyms.release import LinkDialect

_NOT_IN_A_DRAFT = ("--emit-relocs", "--build-id")


@dataclass(frozen=True)
class Names:
    """The files of a pass: pass n links image n with the tables of pass n - 1, and makes its own tables."""

    def image(self, number: int) -> str:
        return f".tmp_vmlinux{number}"

    @property
    def kept(self) -> str:
        """Room for the tables of the last build, as assembler source."""
        return ".tmp_vmlinux.kallsyms.S"

    def map(self, number: int) -> str:
        return f".tmp_vmlinux{number}.map"

    def ranges(self, number: int) -> str:
        return f".tmp_vmlinux{number}.ranges"

    def source(self, number: int) -> str:
        """Room for the tables, as assembler source."""
        return f".tmp_vmlinux{number}.kallsyms.S"

    def tables(self, number: int) -> str:
        """Room for the tables, as an object to link in."""
        return f".tmp_vmlinux{number}.kallsyms.o"


NAMES = Names()


@dataclass(frozen=True)
class Recipe:
    """How an image is linked and its tables are assembled. Commands are argument lists, run in the build directory.

    linker: program and flags, the linker script included
    inputs: what is linked, archives and grouping included
    libraries: what comes after everything else (UML links against the C library)
    through_compiler: whether `linker` is a compiler driver, so that linker flags need `-Wl,`
    assembler: program and flags that turn a `.S` into a `.o`
    """

    linker: tuple[str, ...]
    inputs: tuple[str, ...]
    libraries: tuple[str, ...]
    through_compiler: bool
    assembler: tuple[str, ...]

    @property
    def relocatable(self) -> bool:
        """Whether the tree has linked all objects into vmlinux.o, which is all that the image is linked from."""
        return "vmlinux.o" in self.inputs

    def link_command(
        self, output: str, map_file: str, extra: Sequence[str] = (), draft: bool = False, debug: bool = False
    ) -> list[str]:
        """The command that links `output`, with the objects `extra` last, and writes the linker's map to `map_file`.

        draft: the image is wanted for its symbols alone, so debug data, relocations and build id are left out
        debug: the debug data stay even in a draft
        """
        flags = [f"-Map={map_file}", *(["--strip-debug"] if draft and not debug else [])]
        return [
            *(word for word in self.linker if not (draft and word.removeprefix("-Wl,").startswith(_NOT_IN_A_DRAFT))),
            *(f"-Wl,{flag}" if self.through_compiler else flag for flag in flags),
            "-o",
            output,
            *self.inputs,
            *extra,
            *self.libraries,
        ]

    def assemble_command(self, source: str, output: str) -> list[str]:
        """The command that assembles `source`, which the C preprocessor sees first."""
        return [*self.assembler, "-c", "-o", output, source]


def of(
    environment: Mapping[str, str],
    config: Mapping[str, str],
    dialect: LinkDialect,
    extra_objects: Sequence[str] = (),
) -> Recipe:
    """The recipe that the exported variables of a top Makefile ask for.

    environment: what make exports (LD, KBUILD_LDFLAGS, KBUILD_LDS, KBUILD_VMLINUX_LIBS, CC, KBUILD_AFLAGS …)
    config: the configuration's values, as in auto.conf
    dialect: what the tree links
    extra_objects: linked unconditionally after what the tree links so
    """

    def words(*names: str) -> list[str]:
        return exports.words(environment, *names)

    def chosen(objects: Sequence[tuple[str | None, str]]) -> list[str]:
        names = [name for option, name in objects if option is None or option in config]
        return [name.replace("${SRCARCH}", environment.get("SRCARCH", "")) for name in names]

    # The tree has linked everything into vmlinux.o, and objtool has changed that since: so it must be linked.
    relocatable = any(option in config for option in dialect.relocatable)
    archive = "vmlinux.o" if relocatable else "vmlinux.a"
    libraries = [] if relocatable else words("KBUILD_VMLINUX_LIBS")
    user_mode = environment.get("SRCARCH") == "um"
    prefix = "-Wl," if user_mode else ""
    linker = words("CC", "CFLAGS_vmlinux") if user_mode else words("LD", "KBUILD_LDFLAGS", "LDFLAGS_vmlinux")
    script = Path(environment.get("objtree", ".")) / environment["KBUILD_LDS"]
    return Recipe(
        linker=(*linker, f"{prefix}--script={script}"),
        inputs=(
            f"{prefix}--whole-archive",
            archive,
            *chosen(dialect.objects),
            *extra_objects,
            f"{prefix}--no-whole-archive",
            f"{prefix}--start-group",
            *libraries,
            f"{prefix}--end-group",
        ),
        libraries=(*chosen(dialect.last), *(("-lutil", "-lrt", "-lpthread") if user_mode else ())),
        through_compiler=user_mode,
        assembler=_assembler(environment),
    )


def recorded(words: Sequence[str], environment: Mapping[str, str], extra_objects: Sequence[str] = ()) -> Recipe:
    """The recipe of a link that the tree's own script was about to do.

    words: the program and its arguments (`script.image_link`)
    environment, extra_objects: as in `of`
    """
    user_mode = environment.get("SRCARCH") == "um"
    prefix = "-Wl," if user_mode else ""
    start, closed, end = (
        words.index(f"{prefix}--{word}") for word in ("whole-archive", "no-whole-archive", "end-group")
    )
    flags, named = [], False
    for word in words[:start]:
        if not named and word != "-o" and not word.removeprefix(prefix).startswith(("--strip-debug", "-Map=")):
            flags.append(word)
        named = word == "-o"
    return Recipe(
        linker=tuple(flags),
        inputs=(*words[start:closed], *extra_objects, *words[closed : end + 1]),
        libraries=tuple(word for word in words[end + 1 :] if word.startswith("-l")),
        through_compiler=user_mode,
        assembler=_assembler(environment),
    )


def _assembler(environment: Mapping[str, str]) -> tuple[str, ...]:
    flags = ("NOSTDINC_FLAGS", "LINUXINCLUDE", "KBUILD_CPPFLAGS", "KBUILD_AFLAGS", "KBUILD_AFLAGS_KERNEL")
    return tuple(exports.words(environment, "CC", *flags))
