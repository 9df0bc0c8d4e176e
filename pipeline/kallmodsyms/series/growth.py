"""What tables add to an image: a recipe and tables enter; the image that is linked with them, and how it compresses,
leave.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kallmodsyms import files
from kallmodsyms.kallsyms import assembly
from kallmodsyms.kallsyms.tables import Tables
from kallmodsyms.link.recipe import Recipe
from kallmodsyms.programs import run


@dataclass(frozen=True)
class Linking:
    """How an image is linked once more.

    recipe: with which its tables came in last
    objdir: where the linker runs
    objcopy: the words of that program
    """

    recipe: Recipe
    objdir: Path
    objcopy: Sequence[str]

    def measure(self, tables: Tables, laid_out: assembly.Layout, folder: Path, name: str) -> tuple[int, int]:
        """The bytes of an image with these tables, and of what of it is compressed into a bootable one.

        The addresses in the tables are those of the image that they were made of. What is compressed is what x86 takes
        (arch/x86/boot/compressed/Makefile, `objcopy -R .comment -S`), by gzip's method at its ninth level. Files go to
        `folder` and are removed again.
        """
        # An absolute path, for the linker runs in the build directory.
        base = folder.resolve() / name
        made = {kind: base.with_name(f"{name}.{kind}") for kind in ("S", "bin", "o", "image", "map", "stripped")}
        text, data = assembly.blob(tables, str(made["bin"]), laid_out)
        try:
            files.write(made["S"], text)
            files.write(made["bin"], data)
            run(self.recipe.assemble_command(str(made["S"]), str(made["o"])), self.objdir)
            run(self.recipe.link_command(str(made["image"]), str(made["map"]), [str(made["o"])]), self.objdir)
            run([*self.objcopy, "-R", ".comment", "-S", str(made["image"]), str(made["stripped"])], self.objdir)
            return made["image"].stat().st_size, len(zlib.compress(made["stripped"].read_bytes(), 9))
        finally:
            for path in made.values():
                path.unlink(missing_ok=True)
