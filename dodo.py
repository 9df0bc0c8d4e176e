"""The task graph of kallmodsyms. Wires tasks, nothing more: what they do is in pipeline/kallmodsyms/tasks.py.

doit                                          the toy kernel
doit profile=config/linux-small.yaml tree=DIR a real Linux tree
doit list --all                               every task; doit info TASK says why it would run
"""

from doit import get_var

from kallmodsyms import tasks

BUILD = tasks.build(__file__, get_var)
DOIT_CONFIG = BUILD.doit_config()

task_config = BUILD.config
task_tristate_conf = BUILD.tristate_conf
task_auto_conf = BUILD.auto_conf
task_modules_thick = BUILD.modules_thick
task_compile = BUILD.compile
task_linker_script = BUILD.linker_script
task_archive = BUILD.archive
task_modules = BUILD.modules
task_link = BUILD.link
task_ranges = BUILD.ranges
task_tables = BUILD.tables
task_assemble = BUILD.assemble
task_vmlinux = BUILD.vmlinux
task_listing = BUILD.listing
task_bzimage = BUILD.bzimage
