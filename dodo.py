"""The task graph of kallmodsyms. Wires tasks, nothing more: what they do is in pipeline/kallmodsyms/plan/.

doit                                          the toy kernel
doit profile=config/linux-small.yaml tree=DIR a real Linux tree
doit list --all                               every task; doit info TASK says why it would run
"""

from kallmodsyms import tasks

GRAPH = tasks.graph(__file__)
DOIT_CONFIG = GRAPH.config()

task_config = GRAPH.tasks("config", ".config: made of the profile's configuration, where there is none yet")
task_tristate_conf = GRAPH.tasks("tristate_conf", "include/config/tristate.conf: the tristate symbols that are not n")
task_auto_conf = GRAPH.tasks("auto_conf", "auto.conf and autoconf.h: the configuration for makefiles and for C")
task_modules_thick = GRAPH.tasks(
    "modules_thick", "modules_thick.builtin: the modules that are built in, and their objects"
)
task_make = GRAPH.tasks("make", "everything for vmlinux, by the tree's make")
task_directories = GRAPH.tasks("directories", "what .config changes in the lists and flags of directories")
task_compile = GRAPH.tasks("compile", "one task an object")
task_linker_script = GRAPH.tasks("linker_script", "the linker script, through the C preprocessor")
task_archive = GRAPH.tasks("archive", "vmlinux.a, a thin archive of everything built in, and those on the way there")
task_modules = GRAPH.tasks("modules", "the loadable modules")
task_modpost = GRAPH.tasks("modpost", "vmlinux.o, what modules may use, and the objects that only the link takes")
task_link = GRAPH.tasks("link", "the images before the final one, each linked with the tables of the one before")
task_ranges = GRAPH.tasks("ranges", "which object each address range of an image came from")
task_tables = GRAPH.tasks(
    "tables", "the kallsyms tables of each image, as assembler source; those of image 0 are empty"
)
task_assemble = GRAPH.tasks("assemble", "the tables as objects to link in")
task_vmlinux = GRAPH.tasks("vmlinux", "the final image, with its tables filled in and checked, and System.map")
task_times = GRAPH.tasks("times", "what still holds, made as new as the objects, so that make finds nothing to do")
task_listing = GRAPH.tasks("listing", "kallmodsyms: the /proc/kallmodsyms listing, decoded from vmlinux")
task_bzimage = GRAPH.tasks("bzimage", "the compressed kernel, by the tree's make")
task_image = GRAPH.tasks("image", "the kernel that arm64 and riscv64 boot, by the tree's make")
task_ninja = GRAPH.tasks("ninja", "build.ninja: the same steps, for ninja")
task_series = GRAPH.tasks("series", "the patch series of 2021, a task a patch: its files and a page in OBJDIR/series")
