"""The final link: objects and a linker in, vmlinux with base and module tables out.

What enters is a build directory whose objects are there (`vmlinux.a` and libraries, or `vmlinux.o`), the variables that
the top Makefile exports, and modules_thick.builtin. What leaves is `vmlinux`, `System.map` and `.vmlinux.d`; beside them stay
the map, ranges and tables of each pass (`.tmp_vmlinux3.map` and so on), for whoever wants to look.

The order of things is that of scripts/link-vmlinux.sh of Linux 6.1 and 6.12, whose place `link_vmlinux` takes: make runs it
through `cmd_link_vmlinux` (see docs/design.md, "The hook").
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kallmodsyms import configured, elf, errors, files, kbuild, provider, release, stages, symbols
from kallmodsyms.errors import InputError
from kallmodsyms.kallsyms import assembly, reader, select
from kallmodsyms.kallsyms.tables import Tables, layout
from kallmodsyms.kconfig import autoconf
from kallmodsyms.linkmap import ranges as ranges_file
from kallmodsyms.programs import run
from kallmodsyms.release import KallsymsDialect

MAXIMUM_LINKS = 6
"""Two are enough unless the tables' size made the linker add stubs; symbols that still move after six never rest."""

BTF_OBJECT = ".btf.vmlinux.bin.o"


_NOT_IN_A_DRAFT = ("--emit-relocs", "--build-id")


@dataclass(frozen=True)
class Recipe:
    """How one image is linked and how its tables are assembled. Commands are argument lists, run in the build directory.

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

    def link_command(
        self, output: str, map_file: str, extra: Sequence[str] = (), draft: bool = False, debug: bool = False
    ) -> list[str]:
        """The command that links `output`, with the objects `extra` last, and writes the linker's map to `map_file`.

        draft: the image is wanted for its symbols alone, so debug data, relocations and build id are left out
        debug: but not the debug data
        """
        flags = [f"-Map={map_file}", *(["--strip-debug"] if draft and not debug else [])]
        return [
            *(word for word in self.linker if not (draft and word.removeprefix("-Wl,").startswith(_NOT_IN_A_DRAFT))),
            *(self._flag(flag) for flag in flags),
            "-o",
            output,
            *self.inputs,
            *extra,
            *self.libraries,
        ]

    def assemble_command(self, source: str, output: str) -> list[str]:
        """The command that assembles `source`, which the C preprocessor sees first."""
        return [*self.assembler, "-c", "-o", output, source]

    def _flag(self, flag: str) -> str:
        return f"-Wl,{flag}" if self.through_compiler else flag


def recipe(environment: Mapping[str, str], config: Mapping[str, str], extra_objects: Sequence[str] = ()) -> Recipe:
    """The recipe that the exported variables of a top Makefile ask for.

    environment: what make exports (LD, KBUILD_LDFLAGS, LDFLAGS_vmlinux, KBUILD_LDS, KBUILD_VMLINUX_LIBS, CC, KBUILD_AFLAGS …)
    config: the configuration's values, as in auto.conf
    extra_objects: linked unconditionally after the archive (version-timestamp.o, .vmlinux.export.o)
    """

    def words(*names: str) -> list[str]:
        return [word for name in names for word in shlex.split(environment.get(name, ""))]

    # The tree has linked everything into vmlinux.o already, and objtool has changed it since: that is what must be linked.
    relocatable = "LTO_CLANG" in config or "X86_KERNEL_IBT" in config
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
            *extra_objects,
            f"{prefix}--no-whole-archive",
            f"{prefix}--start-group",
            *libraries,
            f"{prefix}--end-group",
        ),
        libraries=("-lutil", "-lrt", "-lpthread") if user_mode else (),
        through_compiler=user_mode,
        assembler=tuple(
            words("CC", "NOSTDINC_FLAGS", "LINUXINCLUDE", "KBUILD_CPPFLAGS", "KBUILD_AFLAGS", "KBUILD_AFLAGS_KERNEL")
        ),
    )


@dataclass(frozen=True)
class Names:
    """What the files of each pass are called: pass `n` links image n with the tables of pass n - 1, and makes the tables of pass n."""

    def image(self, number: int) -> str:
        return f".tmp_vmlinux{number}"

    def map(self, number: int) -> str:
        return f".tmp_vmlinux{number}.map"

    def ranges(self, number: int) -> str:
        return f".tmp_vmlinux{number}.ranges"

    def source(self, number: int) -> str:
        """The tables as assembler source."""
        return f".tmp_vmlinux{number}.kallsyms.S"

    def blob(self, number: int) -> str:
        """What the source includes."""
        return f".tmp_vmlinux{number}.kallsyms.bin"

    def tables(self, number: int) -> str:
        """The tables as an object to link in."""
        return f".tmp_vmlinux{number}.kallsyms.o"


def check(image: str, tables: Tables) -> None:
    """Raise InputError unless the tables in `image` decode to `tables`, which were made of its symbols."""
    found = reader.read(image)
    objects = tables.modules.objects if tables.modules is not None else None
    columns = (
        ("addresses", found.addresses, tables.addresses),
        ("types", found.types, tables.names.types),
        ("names", found.names, tables.names.plain),
        ("sizes", found.sizes, tables.sizes),
        ("objects", list(found.objects), objects[:, 0].tolist() if objects is not None else []),
    )
    for what, ours, wanted in columns:
        numbers = isinstance(ours, np.ndarray) or isinstance(wanted, np.ndarray)
        if not (np.array_equal(ours, wanted) if numbers else ours == wanted):
            raise InputError(f"the {what} in the kallsyms tables are not those of the image's symbols", path=image)


class Passes:
    """The links of one image, in the build directory `directory`.

    thick: modules_thick.builtin; None for tables without modules
    options, rules: as `kallsyms.tables.build` wants them
    object_map: the map of the `ld -r` that made vmlinux.o, if there was one
    functions: of each object that link-time optimisation compiled, as `linkmap.read` wants them
    describe: makes objects to link in (BTF) of the debug data of the first image, whose name it is given
    """

    names = Names()

    def __init__(
        self,
        plan: Recipe,
        directory: str | os.PathLike[str],
        thick: str | None,
        options: select.Options,
        rules: KallsymsDialect,
        object_map: str | None = None,
        functions: Mapping[str, frozenset[str]] | None = None,
        describe: Callable[[str], list[str]] | None = None,
        say: Callable[[str, str], None] = lambda verb, what: None,
    ) -> None:
        self.plan, self.directory, self.thick, self.options, self.rules = plan, directory, thick, options, rules
        self.object_map, self.functions, self.describe, self.say = object_map, functions, describe, say
        self.objects: list[str] = []
        self.found = 0, ranges_file.Ranges([], [])  # The ranges of which image, if it was this process that made them.
        self.latest: Tables | None = None

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def empty_tables(self, bits: int, byteorder: str) -> None:
        """The tables of pass 0: every label and no symbol."""
        self._write(0, stages.empty_tables(self.options, self.rules, bits, byteorder, self.thick is not None))

    def has_tables(self) -> bool:
        """Whether an earlier build left tables for pass 0 (`keep`)."""
        return all(os.path.exists(self.path(name(0))) for name in (self.names.source, self.names.blob))

    def keep(self) -> None:
        """Make the latest tables those of pass 0, for the next build to begin with."""
        assert self.latest is not None
        self._write(0, self.latest)

    def ranges(self, number: int) -> None:
        """The ranges file of image `number`."""
        object_map = None if self.object_map is None else self.path(self.object_map)
        found = stages.ranges(
            self.path(self.names.map(number)),
            object_map,
            self.path(self.names.image(number)),
            self.directory,
            self.functions,
        )
        files.write(self.path(self.names.ranges(number)), ranges_file.text(found))
        self.found = number, found

    def tables(self, number: int) -> None:
        """The tables of image `number`, from its ranges."""
        image = self.path(self.names.image(number))
        made, found = self.found
        if made != number:
            found = ranges_file.parse(self.path(self.names.ranges(number)))
        # Names do not change between passes, so the compression of the last one serves this one.
        previous = self.latest
        thick = None if self.thick is None else self.path(self.thick)
        self.latest = stages.kallsyms_tables(image, found, thick, self.options, self.rules, previous)
        if previous is None:
            errors.warn(self.latest.warnings)
        self._write(number, self.latest)

    def assemble(self, number: int) -> None:
        run(self.plan.assemble_command(self.names.source(number), self.names.tables(number)), self.directory)

    def link(self, number: int, draft: bool) -> None:
        extra = [self.names.tables(number - 1), *self.objects]
        map_file = Path(self.path(self.names.map(number)))
        map_file.unlink(missing_ok=True)  # So that a linker that writes none does not leave us that of the last build.
        debug = self.describe is not None
        run(
            self.plan.link_command(self.names.image(number), self.names.map(number), extra, draft, debug),
            self.directory,
        )
        if not map_file.exists():
            raise InputError(
                "the linker did not write its map",
                path=map_file,
                cure="LD must be a linker that knows -Map, as GNU ld and LLD do",
            )

    def settle(self, first: int, draft: bool) -> str:
        """Link from pass `first` on, with the tables of the pass before, until the tables fit; the name of the image.

        Addresses do not change the size of the tables, so those of any image with the same names have the size that they will have in the
        final one: link with them, and fill in the addresses afterwards. From empty tables that takes two links; from those of an earlier
        build, one, unless a symbol came or went. Where the debug data of an image must be described first, always two.

        draft: the first image cannot be the last
        Raises InputError if a tool fails, the tables never fit, or the filled image does not decode to its own symbols.
        """
        draft = draft or self.describe is not None
        for number in range(first, MAXIMUM_LINKS + 1):
            self.assemble(number - 1)
            self.say("LD", self.names.image(number))
            self.link(number, draft and number == first)
            self.say("KSYMS", self.names.source(number))
            if self.thick is not None:
                self.ranges(number)
            self.tables(number)
            if not (draft and number == first) and self.fits(number):
                self.fill(number)
                return self.names.image(number)
            if number == first and self.describe is not None:
                self.objects = self.describe(self.names.image(number))
        raise InputError(
            f"the tables still change size after {MAXIMUM_LINKS} links",
            path=self.path(self.names.image(MAXIMUM_LINKS)),
            cure="compare the .tmp_vmlinux images with nm -n to see which symbols come and go",
        )

    def fits(self, number: int) -> bool:
        """Whether the tables of image `number` have the labels, sizes and relocated words of those that it was linked with: their
        sources then are the same but for the name of the included file."""
        before, now = (files.read_text(self.path(self.names.source(n))) for n in (number - 1, number))
        return before.replace(self.names.blob(number - 1), self.names.blob(number)) == now

    def fill(self, number: int) -> None:
        """Put the tables of image `number` in the place of those that it was linked with; then prove that they are right.

        Raises InputError if what the image's tables decode to is not what its symbol table says.
        """
        assert self.latest is not None
        image = self.path(self.names.image(number))
        file = elf.Elf(image)
        table = symbols.read(image)
        labels = {entry.label: entry for entry in layout(self.latest) if entry.kind != "address"}
        places = {
            name.decode(): address
            for name, address in zip(table.names, table.addresses.tolist())
            if name.startswith(b"kallsyms_")
        }
        with open(image, "r+b") as stream:
            for label, entry in labels.items():
                section = file.section_at(places[label])
                stream.seek(section.offset + places[label] - section.address)
                stream.write(assembly.as_bytes(entry, file.bits, file.byteorder))
        check(image, self.latest)

    def _write(self, number: int, tables: Tables) -> None:
        text, data = assembly.blob(tables, self.names.blob(number))
        # If this is interrupted, there must be no source with the binary of another one: the next build would begin with both.
        Path(self.path(self.names.source(number))).unlink(missing_ok=True)
        files.write(self.path(self.names.blob(number)), data)
        files.write(self.path(self.names.source(number)), text)


def link_vmlinux(
    environment: Mapping[str, str],
    thick: str | None = None,
    sizes: str = "compact",
    objects: bool = False,
    with_modules: bool = True,
    with_provider: bool = True,
) -> None:
    """Do, in the current directory, what the tree's scripts/link-vmlinux.sh does, with module tables beside the base tables.

    environment: the variables that make exports to the recipe of vmlinux
    thick: a modules_thick.builtin that is there already; None to make it here from the tree
    sizes, objects: as in `Profile`
    with_modules: whether the kernel gets module tables; without, it gets nothing but what the script would give it
    with_provider: whether the kernel gets /proc/kallmodsyms, if it has a /proc

    Raises InputError; then the previous vmlinux is still what it was.
    """
    for name in ("srctree", "LD", "CC", "KBUILD_LDS", "SRCARCH", "MAKE"):
        if not environment.get(name):
            raise InputError(
                f"{name} is not set: this is the program for the cmd_link_vmlinux hook, and make did not call it",
                cure="run: make vmlinux cmd_link_vmlinux='kallmodsyms link'",
            )
    hook = _Hook(environment, sizes if with_modules else "none", objects and with_modules)
    if not release.knows_final_link(hook.tree):
        raise InputError(
            "has no init/version-timestamp.c, so its final link is not that of Linux 6.1 or later",
            path=hook.tree,
            cure="let the tree link vmlinux itself: run make without cmd_link_vmlinux",
        )
    hook.make("scripts/Makefile.build", "obj=init", "init/version-timestamp.o")
    extra = [*([".vmlinux.export.o"] if "MODULES" in hook.config else []), "init/version-timestamp.o"]
    if with_modules and with_provider and provider.possible(hook.config):
        hook.say("CC", provider.FOLDER)
        extra += provider.build(hook.tree, hook.make)
    plan = recipe(environment, hook.config, extra)

    if not with_modules:
        thick = None
    elif thick is None:
        thick = "modules_thick.builtin"
        hook.say("MODTHICK", thick)
        kernel = configured.kernel_tree(hook.tree, ".", environment.get("ARCH"))
        files.write(thick, kbuild.format_thick(kbuild.builtin_modules(kernel)))
    if "KALLSYMS" in hook.config:
        passes = hook.passes(plan, thick)
        fresh = not passes.has_tables()
        if fresh:
            passes.empty_tables(*hook.word(plan))
        hook.finish(passes.settle(1, draft=fresh))
        passes.keep()
    else:
        hook.finish(hook.plain(plan))


class _Hook:
    """One run of the hook in a build directory: what the helpers of the tree's script know as global variables."""

    def __init__(self, environment: Mapping[str, str], sizes: str, objects: bool) -> None:
        self.environment = environment
        self.tree = Path(environment["srctree"])
        self.config = autoconf.read(".")
        self.rules = release.kallsyms_dialect(self.tree)
        self.options = stages.table_options(self.config, self.rules, sizes, objects)
        self.describe = self.btf if "DEBUG_INFO_BTF" in self.config else None
        self.quiet = environment.get("quiet") == "silent_"  # what Kbuild makes of make -s

    def say(self, verb: str, what: str) -> None:
        if not self.quiet:
            print(f"  {verb:<7} {what}", flush=True)

    def make(self, makefile: str, *goals: str) -> None:
        run([*shlex.split(self.environment["MAKE"]), "-f", str(self.tree / makefile), *goals])

    def passes(self, plan: Recipe, thick: str | None) -> Passes:
        object_map = self.object_map() if "vmlinux.o" in plan.inputs else None
        return Passes(plan, ".", thick, self.options, self.rules, object_map, self.functions(), self.describe, self.say)

    def word(self, plan: Recipe) -> tuple[int, str]:
        """Word size in bits and byte order of the image, as an object of it has them that the linker need not compile first."""
        file = elf.Elf("vmlinux.o" if "vmlinux.o" in plan.inputs else "init/version-timestamp.o")
        return file.bits, file.byteorder

    def object_map(self) -> str:
        """The map of the `ld -r` that made vmlinux.o. Where the tree keeps none (it does for CONFIG_BUILTIN_MODULE_RANGES), the same
        link is done once more for its map; objtool, which runs after it, adds sections and moves nothing."""
        thin = "LTO_CLANG_THIN" in self.config
        if (
            not thin
            and os.path.exists("vmlinux.o.map")
            and os.path.getmtime("vmlinux.o.map") >= os.path.getmtime("vmlinux.a")
        ):
            return "vmlinux.o.map"
        self.say("LD", ".tmp_vmlinux.o.map")
        libraries = shlex.split(self.environment.get("KBUILD_VMLINUX_LIBS", ""))
        script = ["-T", ".tmp_initcalls.lds"] if "LTO_CLANG" in self.config else []
        # With a cache LLD has a name for each object that it compiles, and not one for all of them.
        script += ["--thinlto-cache-dir=.tmp_vmlinux.lto"] if thin else []
        linker = shlex.split(self.environment["LD"]) + shlex.split(self.environment.get("KBUILD_LDFLAGS", ""))
        whole = ["--whole-archive", "vmlinux.a", "--no-whole-archive", "--start-group", *libraries, "--end-group"]
        run([*linker, "-r", "-Map=.tmp_vmlinux.o.map", "-o", ".tmp_vmlinux.o", *script, *whole])
        os.unlink(".tmp_vmlinux.o")
        return ".tmp_vmlinux.o.map"

    def functions(self) -> dict[str, frozenset[str]] | None:
        """The functions of each object, by nm, where the linker compiled them: its map names files of its own."""
        if "LTO_CLANG" not in self.config:
            return None
        archives = ["vmlinux.a", *shlex.split(self.environment.get("KBUILD_VMLINUX_LIBS", ""))]
        objects: list[str] = []
        for archive in archives:
            run([*shlex.split(self.environment["AR"]), "t", archive], output=".tmp_vmlinux.objects")
            objects += files.read_text(".tmp_vmlinux.objects").split()
        run(
            [*shlex.split(self.environment["NM"]), "-A", "--defined-only", *objects],
            output=".tmp_vmlinux.functions",
            quiet=True,
        )
        found: dict[str, set[str]] = {}
        for line in files.read_text(".tmp_vmlinux.functions").splitlines():
            path, _, symbol = line.partition(": ")
            letter, name = symbol.split(" ")[-2:]
            if letter in "tTwW":
                found.setdefault(path, set()).add(name)
        return {path: frozenset(names) for path, names in found.items()}

    def plain(self, plan: Recipe) -> str:
        """Link without tables: CONFIG_KALLSYMS is off."""
        first, last = Passes.names.image(1), Passes.names.image(2)
        objects = []
        if self.describe is not None:
            self.say("LD", first)
            run(plan.link_command(first, Passes.names.map(1), draft=True, debug=True))
            objects = self.describe(first)
        self.say("LD", last)
        run(plan.link_command(last, Passes.names.map(2), objects))
        return last

    def btf(self, image: str) -> list[str]:
        """BTF from the debug data of an image, as one object to link in.

        objcopy leaves an executable with only .BTF in it; the linker wants a relocatable file, so its ELF type is changed.
        """
        pahole = self.environment.get("PAHOLE") or "pahole"
        if shutil.which(pahole) is None:
            raise InputError(
                "CONFIG_DEBUG_INFO_BTF needs pahole, which is not on the PATH", cure="apt-get install dwarves"
            )
        self.say("BTF", BTF_OBJECT)
        objcopy = shlex.split(self.environment["OBJCOPY"])
        flags = shlex.split(self.environment.get("PAHOLE_FLAGS", ""))
        run([pahole, "-J", *flags, image], environment={**os.environ, "LLVM_OBJCOPY": self.environment["OBJCOPY"]})
        only_btf = ["--only-section=.BTF", "--set-section-flags", ".BTF=alloc,readonly", "--strip-all"]
        run([*objcopy, *only_btf, image, BTF_OBJECT], quiet=True)  # GNU objcopy wonders at the empty segments.
        relocatable = b"\0\1" if "CPU_BIG_ENDIAN" in self.config else b"\1\0"
        with open(BTF_OBJECT, "r+b") as stream:
            stream.seek(16)
            stream.write(relocatable)
        return [BTF_OBJECT]

    def finish(self, image: str) -> None:
        """Everything that the tree does after the link, on `image`; then give it its name."""
        config = self.config
        if "DEBUG_INFO_BTF" in config and "BPF" in config:
            self.say("BTFIDS", "vmlinux")
            run([*shlex.split(self.environment["RESOLVE_BTFIDS"]), image])
        self.say("NM", "System.map")
        system_map = stages.system_map(image, self.rules)
        if "BUILDTIME_TABLE_SORT" in config:
            self.say("SORTTAB", "vmlinux")
            self.sort_tables(image)
        with Replaced("vmlinux", image):
            if (self.tree / "arch" / self.environment["SRCARCH"] / "Makefile.postlink").is_file():
                self.make(f"arch/{self.environment['SRCARCH']}/Makefile.postlink", "vmlinux")
            # fixdep reads this: what vmlinux depends on besides its prerequisites, which is the program that linked it.
            script = self.tree / "scripts" / "link-vmlinux.sh"
            own = sorted(
                str(path)
                for path in Path(__file__).parent.rglob("*")
                if path.suffix in (".py", ".c", ".h") or path.name == "Makefile"
            )
            files.write(".vmlinux.d", " \\\n ".join([f"vmlinux: {script}", *own]) + "\n")
            if "VMLINUX_MAP" in config:
                files.write("vmlinux.map", files.read_bytes(f"{image}.map"))
            files.write("System.map", system_map)

    def sort_tables(self, image: str) -> None:
        """The tree's scripts/sorttable, some of which want the symbols of the image in a file."""
        program = str(Path(self.environment.get("objtree", ".")) / "scripts" / "sorttable")
        if release.sorttable_wants_symbols(self.tree):
            run([*shlex.split(self.environment["NM"]), "-S", image], output=".tmp_vmlinux.nm-sort")
            run([program, "-s", ".tmp_vmlinux.nm-sort", image])
        else:
            run([program, image])


class Replaced:
    """Within the block `path` is what `new` was; if the block fails, `path` is again what it was before, timestamp and all."""

    def __init__(self, path: str, new: str) -> None:
        self.path, self.new, self.kept = path, new, f".{path}.previous"

    def __enter__(self) -> None:
        if os.path.exists(self.path):
            os.replace(self.path, self.kept)
        os.replace(self.new, self.path)

    def __exit__(self, kind, error, traceback) -> None:
        if kind is not None:
            os.unlink(self.path)
            if os.path.exists(self.kept):
                os.replace(self.kept, self.path)
        elif os.path.exists(self.kept):
            os.unlink(self.kept)
