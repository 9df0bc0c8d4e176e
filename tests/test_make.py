"""kallmodsyms.make against GNU make 4.3 itself: the same makefile, and everything that `$(info)` prints."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kallmodsyms.errors import InputError
from kallmodsyms.make import Evaluator, Program, Sources

ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "FROM_ENV": "e$$v", "LC_ALL": "C"}
COMMAND_LINE = {"FROM_CMD": "c d"}


def gnu_make(directory: Path, makefile: str = "Makefile") -> list[str]:
    """The lines that GNU make's own reading of a makefile prints, and its last complaint if it has one."""
    variables = [f"{name}={value}" for name, value in COMMAND_LINE.items()]
    done = subprocess.run(
        ["make", "-rR", "--no-print-directory", "-f", makefile, *variables, "all"],
        cwd=directory,
        env=ENVIRONMENT,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
    )
    lines = [line for line in done.stdout.splitlines() if line != "make: 'all' is up to date."]
    return lines + (["error"] if done.returncode else [])


def ours(directory: Path, makefile: str = "Makefile") -> list[str]:
    evaluator = Evaluator(directory, shell_environment=lambda command: ENVIRONMENT)
    evaluator.set_defaults(["all"])
    evaluator.set_environment(ENVIRONMENT)
    evaluator.set_command_line(COMMAND_LINE)
    stopped = []
    try:
        evaluator.read(makefile)
    except InputError:
        stopped = ["error"]
    return "".join(f"{text}\n" for _, _, text in evaluator.messages).splitlines() + stopped


def write(directory: Path, text: str) -> Path:
    directory.mkdir(exist_ok=True)
    (directory / "Makefile").write_text(text)
    return directory


# Each case is a makefile; `all` must be its last rule or need none, so that make has something to do.
CASES = {
    "flavours": r"""
A = $(B)
B := one
C := $(A)
B := two
D ::= $(A)
E ?= three
E ?= four
FROM_ENV ?= five
F ?= $(LATE)
LATE = late
define G ?=
$(LATE) g
endef
LATE = later
$(info $(F) $(G) $(flavor F) $(flavor G))
$(info $(A) $(C) $(D) $(E) $(FROM_ENV) $(value FROM_ENV) $(flavor A) $(flavor C) $(flavor D) $(flavor nothing))
""",
    "append": r"""
A += $(B)
B = later
C := $(B)
C += $(B)
B = too late
D :=
D += x
E = y
E +=
E += $(nothing)
F := z
F += $(nothing)
$(info [$(A)] [$(C)] [$(D)] [$(value E)] [$(F)] $(flavor A) $(flavor C))
""",
    "append-spacing": "A := a  \nA +=   b  \nA += $() c\n$(info [$(A)])\nB =  \nB += x\n$(info [$(B)])\n",
    "origins": r"""
FILE = f
override OVER := o
FROM_CMD = ignored
override ALSO = a
ALSO = ignored
FROM_ENV = changed
$(info $(origin FILE) $(origin OVER) $(origin FROM_CMD) $(FROM_CMD) $(ALSO) $(origin FROM_ENV) $(origin HOME))
$(info $(origin nothing) $(origin CURDIR) $(origin MAKE) $(origin MAKEFLAGS) $(origin MAKECMDGOALS) $(origin SHELL))
FROM_CMD += ignored
override FROM_CMD += added
$(info $(FROM_CMD) $(origin FROM_CMD) $(foreach x,1,$(origin x)) $(flavor x))
""",
    "undefine": r"""
A = 1
undefine A
undefine FROM_CMD
override undefine FROM_CMD
undefine HOME
$(info [$(origin A)] [$(origin FROM_CMD)] [$(origin HOME)])
B := name
name = 1
undefine $(B)
$(info [$(name)])
""",
    "names": r"""
a-b.c_d/e := 1
$(info $(a-b.c_d/e) ${a-b.c_d/e})
p = q
$(p)r := 2
$(info $(qr) $($(p)r) $p $(p)$p)
x$(subst  ,-,a b)y := 3
$(info $(xa-by))
ifdef := variable
include = also
export = third
$(info $(ifdef) $(include) $(export))
 lead := 4
	tabbed := 5
$(info $(lead) $(tabbed))
0 := zero
$(info $0)
a:b := colon
""",
    "shell-assignment": r"""
X := one
A != printf 'x\ny\n'
B != echo '$$(X) b'
C!=echo c
C += $(X)
D := kept
D != true
export E != echo e
override FROM_CMD != echo o
F != echo "$(X)"; exit 3
G != echo a\
 b
X := two
$(info [$(A)] [$(B)] [$(C)] [$(D)] [$(E)] [$(FROM_CMD)] [$(F)] [$(G)])
$(info $(flavor A) $(flavor B) $(flavor C) $(flavor D) $(value B) $(value C) $(origin FROM_CMD) $(origin A))
""",
    "odd-operators": r"""
A:=1
B+=2
C?=3
D=4
E ::=5
F!=echo hi; echo there
G:= = 6
H= := 7
I=a=b
J = a\#b # comment
K := a # comment
L := $(if x,#not a comment)
M := a\\#b
$(info [$(A)] [$(B)] [$(C)] [$(D)] [$(E)] [$(F)] [$(G)] [$(H)] [$(I)] [$(J)] [$(K)] [$(L)] [$(M)])
$(info $(flavor F) $(flavor B))
""",
    "continuation": "A := a \\\n   b\\\nc \\\n\\\n d\n$(info [$(A)])\nB = x \\\\\n$(info [$(B)])\nC := \\\n  \\\n y\n"
    "$(info [$(C)])\n# comment \\\n$(error in a comment)\nD := z \\\n# no comment here\n$(info [$(D)])\n",
    "continuation-at-end": "$(info before)\nA := a \\\n",
    "carriage-returns": "A := a\r\nB := b \\\r\n c\r\n$(info [$(A)] [$(B)])\r\n",
    "define": r"""
define A
one $(B)
	two \
   three
# kept

endef
define B =
b
endef
define C :=
$(B)
endef
define D +=
d
endef
define D +=
e
endef
define outer
define inner
x
endef
endef
define  spaced  # comment
y
endef # comment
$(info [$(value A)])
$(info [$(A)] [$(C)] [$(D)] [$(value outer)] [$(spaced)])
define override-me
z
endef
override define forced
w
endef
$(info $(origin forced) $(flavor C) $(flavor D))
""",
    "dollars": r"""
A = $$x $$$$ $$(y)
B := $(A)
$(info $(A) $(B) a$$b $(value A))
$(info $ x $)
$(info $
""",
    "conditionals": r"""
ifeq (a,a)
$(info 1)
else
$(info 2)
endif
ifeq (a, b )
$(info 3)
else ifeq "a" 'a'
$(info 4)
else
$(info 5)
endif
ifneq ($(nothing),)
$(info 6)
else ifdef nothing
$(info 7)
else ifndef nothing
$(info 8)
else
$(info 9)
endif
ifeq ( a ,a)
$(info 10)
endif
ifeq (a ,a)
$(info 11)
endif
ifeq (a,a ) # comment
$(info 12)
endif
ifeq 'x'"x"
$(info 13)
endif
ifeq ((a,b),(a,b))
$(info 14)
endif
ifeq ($(subst x,y,x),y)
$(info 15)
endif
ifdef nothing
ifeq bad syntax
else nonsense
endif
  ifdef x
  else
  endif
else
$(info 16)
endif
E =
R = $(E)
ifdef E
$(info 17)
endif
ifdef R
$(info 18)
endif
N := R
ifdef $(N)
$(info 19)
endif
	ifdef R
	X := tab
	endif
$(info $(X))
""",
    "conditional-define": r"""
ifdef nothing
define A
endif
else
endef
else
define B
b
endef
endif
$(info [$(A)] [$(B)])
""",
    "rules": r"""
T := target
$(T): dependency ; recipe $(error no)
	$(error no recipe is expanded)
ifdef nothing
	$(error no)
else
	$(error no)
endif
A := 1
	B := 2
$(info $(A) $(B))
x y: z
	$(error no)

# a comment does not end a rule
	$(error no)
static: %.o: %.c
double:: x
double:: y
pattern%.o: pattern%.c | order
	$(error no)
$(T): VARIABLE = $(error no)
$(T): override VARIABLE += $(error no)
$(T): export VARIABLE ?= $(error no)
$(T)2: private A := 5
$(info $(A))
$(nothing)
$(nothing): x
	$(error commands of a rule without targets)
C := 3
$(info $(C))
dependency:
target:
all: ; @:
""",
    "bare-expansion": r"""
define D
A := 1
all: ;
endef
$(eval $(D))
$(foreach v,x y,$(eval $(v) := $(v)$(A)))
$(info $(A) $(x) $(y))
  $(info indented)
rule = b: c
$(rule)
	$(error recipe of an expanded rule)
$(info end)
b c:
""",
    "call": r"""
reverse = $(2) $(1)
$(info $(call reverse,a,b) $(call reverse, a, b) $(call reverse,a))
named = $(0)
$(info $(call named) $(call  named ,x) $(call nothing,x)$(call ,x))
inner = [$(1)$(2)$(3)]
outer = $(call inner,$(1)) $(1)$(2)
$(info $(call outer,1,2,3))
builtin = $(call subst,a,b,$(1))
$(info $(call builtin,banana) $(call sort,c b a) $(call if,x,yes,no) $(call origin,HOME))
map = $(foreach a,$(2),$(call $(1),$(a)))
o = <$(1)>
$(info $(call map,o,a b c))
count = $(if $(1),$(words $(1)) $(call count,$(wordlist 2,9,$(1))),0)
$(info $(call count,a b c))
simple := $$(1)
$(info $(call simple,x))
dollar = $(1)
$(info $(call dollar,a$$b) $(call subst,x,y,a$$x))
""",
    "eval": r"""
$(eval A = $$(B))
B := 1
$(info $(A)$(eval A := 2)$(A))
f = $(eval $(1) := $(2))
$(call f,C,3)
$(info $(C))
$(foreach i,1 2,$(eval i := $(i)x))
$(info $(i))
define text
ifdef C
D := 4
else
$$(error no)
endif
endef
$(eval $(text))
$(info $(D))
""",
    "text-functions": r"""
$(info [$(subst a,b,banana)] [$(subst ,x,abc)] [$(subst a,,banana)] [$(subst  a,b,a a)])
$(info [$(patsubst %.c,%.o,a.c b.h c.c)] [$(patsubst %,x,a b)] [$(patsubst a,b,a  aa a)] [$(patsubst %.c,%%.o,a.c)])
$(info [$(patsubst a%b,[%],ab axb axxbb a b)] [$(patsubst \%x,y,%x ax)] [$(patsubst %,%,  a   b )] [$(patsubst a,%,a)])
$(info [$(patsubst %.c,,a.c b.c d)] [$(patsubst ,x,a b)] [$(patsubst ,x,a b )] [$(patsubst ,x,)])
$(info [$(patsubst a\%%,%,a%b)])
$(info [$(strip  a   b )] [$(strip )] [$(findstring a,banana)] [$(findstring x,banana)] [$(findstring ,b)])
$(info [$(filter %.c a,a.c b.h a b)] [$(filter-out %.c a,a.c b.h a b)] [$(filter ,a)] [$(filter a%,a ab ba a%)])
$(info [$(filter \%,% a)] [$(filter a\%b,a%b axb)] [$(filter %a%,a xa% bax)] [$(filter-out %,a b)])
$(info [$(sort b a c a)] [$(sort )] [$(sort B a _ - A 10 9)])
$(info [$(word 2,a b c)] [$(word 9,a b)] [$(wordlist 2,3,a b c d)] [$(wordlist 3,2,a b c)] [$(wordlist 2,99,a b c)])
$(info [$(words a b  c)] [$(words )] [$(firstword a b)] [$(firstword )] [$(lastword a b)] [$(lastword )])
$(info [$(dir a/b c /d e/ .)] [$(notdir a/b c /d e/ x)] [$(suffix a.c b/c.d/e f. .g a.b.c h)])
$(info [$(basename a.c b/c.d/e f. .g a.b.c h x/.y)] [$(dir )] [$(notdir )] [$(suffix )])
$(info [$(addprefix x,a b)] [$(addsuffix .o,a b)] [$(addprefix ,a b)] [$(addsuffix x,)] [$(addprefix a b,c d)])
$(info [$(join a b,1 2 3)] [$(join a b c,1)] [$(join ,1)])
$(info [$(abspath /a/../b //c/./d e/../..)] [$(abspath )] [$(words $(abspath a b))])
""",
    "conditional-functions": r"""
$(info [$(if a,b,c)] [$(if ,b,c)] [$(if  ,b)] [$(if $(nothing) ,b,c)] [$(if a,b,c,d)] [$(if a,  b  )])
$(info [$(or a,b)] [$(or ,b)] [$(or ,,)] [$(or  , c )] [$(and a,b)] [$(and a,,c)] [$(and a, c )])
$(info [$(or $(info one),x,$(info no))])
$(info [$(if x,$(info yes),$(info no))])
$(info [$(foreach x,a b c,$(x)$(x))] [$(foreach x,,y)] [$(foreach  x ,a  b, $(x) )])
$(info [$(foreach x,a,$(foreach x,b,$(x))$(x))])
""",
    "references": r"""
A = a.c b.c
$(info $(A:.c=.o) ${A:%.c=%.d} $(A:a%=x%) $(A:=.x) $(A:.c=) $(nothing:a=b) $(A:x)$(A:.c=%.o) $(A:%.c=z) $(A:b=))
S := .c
$(info $(A:$(S)=.o) $($(A):x=y) $(A:%$(S)=$(S)%))
N := A
$(info $($(N):.c=.h) $(${N}) $($N))
F(x) := parentheses
$(info $(F(x)) ${F(x)} $ä)
$(info $(subst x,y,$(A:.c=.x)) ${subst a,(,abc} $(subst ),},a)b) $(words (a b) c))
$(info $(if,a) $(sortx a) $(sort) $(sort	b a))
""",
    "files": r"""
$(info [$(wildcard *)] [$(wildcard sub/*.mk missing sub)] [$(wildcard sub/)] [$(wildcard */)] [$(wildcard b.mk a.mk)])
$(info [$(wildcard [ab].mk ?.mk)] [$(wildcard .h*)] [$(wildcard dangling)] [$(wildcard sub/../a.mk)])
$(info [$(wildcard nodir/x)])
$(info [$(realpath sub/.. missing sub/x.mk)] [$(notdir $(realpath link))] [$(realpath dangling)])
$(info [$(file <a.mk)] [$(file < missing)])
include a.mk sub/x.mk
-include missing
sinclude missing
$(info $(MAKEFILE_LIST))
include *.mk
include
include $(nothing)
$(info $(MAKEFILE_LIST))
""",
    "shell": r"""
A := $(shell echo a; echo b; echo; echo)
$(info [$(A)] [$(shell printf 'x\n\ny')] [$(shell )] [$(shell exit 1)] [$(shell echo '$$HOME' $$FROM_ENV)])
B = $(shell echo $(C))
C = late
$(info $(B))
D := $(shell echo 'a  b')
D += $(shell true)
D += c
E := $(shell true)
E += x
E += $(shell echo '$$(A)' '#')
$(info [$(D)] [$(E)])
ifeq ($(shell echo yes),yes)
$(info yes)
endif
$(info $(words $(shell echo a b c)) $(sort $(shell echo c b) a) $(if $(shell true),x,y) $(or $(shell true),z))
x$(shell echo 1) := name
$(info $(x1) $(x$(shell echo 1)) $(subst a,b,$(D):$(E)))
ifdef E
$(info $(foreach x,$(shell echo a b),<$(x)>) $(call f,$(shell echo q)))
endif
f = [$(1)]
F := $(call f,$(shell echo q)) $(filter-out q,$(shell echo q r)) $(D:a=z) $(firstword $(E))
$(info $(F) $(word 2,$(shell echo a b)) $(patsubst %,<%>,$(shell echo a b)))
G = $(shell true)
G += $(nothing) $(shell true)
$(info [$(G)] $(shell echo $(shell echo nested)))
SHELL := /bin/bash
$(info $(shell echo $${BASH_VERSION:+bash}))
""",
    "assignments-by-shell": r"""
A != echo a; echo b; echo '$$(B)'
B = late
C != printf 'x\n'
D != true
override E != echo e
E = ignored
FROM_CMD != echo ignored
define F !=
echo $(B)
endef
$(info [$(A)] [$(C)] [$(D)] [$(E)] [$(F)] [$(FROM_CMD)] $(origin E) $(flavor A) $(flavor C) $(flavor F))
C += $(B)
B = later
$(info [$(C)] [$(A)])
""",
    "rules-from-variables": r"""
E := =
T := all:A
$(T) x = 1
	@:
A x 1 $(E): ;
B := $(subst a,\,a)
$(B) : ;
\: ;
""",
    "export": r"""
export A := 1
B = 2
export B C
unexport A
export
unexport
export $(B)
$(info $(A) $(B) [$(C)] $(origin C) $(origin 2))
""",
    "recursion-through-call": r"""
f = $(if $(1),$(1) $(call f,$(wordlist 2,99,$(1))))
$(info $(call f,a b c))
""",
    "vpath": "vpath %.c src\nVPATH := a:b\n$(info $(VPATH))\n",
    "default-variables": "$(info $(MAKE) $(MAKE_VERSION) $(CURDIR) $(MAKEFLAGS) $(MAKECMDGOALS) $(SUFFIXES)[$(CC)])\n"
    "$(info $(.FEATURES))\n",
}

# What make stops at, and where we say why. The message is ours; that make stops is checked too.
MISTAKES = {
    "missing-endif": ("A := 1\nifdef A\nB := 2\n", 2, "missing 'endif'"),
    "extra-endif": ("A := 1\nendif\n", 2, "extraneous 'endif'"),
    "extra-else": ("else\n", 1, "extraneous 'else'"),
    "two-elses": ("ifdef A\nelse\nelse\nendif\n", 3, "only one 'else' for each conditional"),
    "bad-ifeq": ("ifeq a b\nendif\n", 1, "invalid syntax in conditional"),
    "bad-ifdef": ("ifdef a b\nendif\n", 1, "invalid syntax in conditional"),
    "missing-endef": ("\ndefine A\nB\n", 2, "a 'define' without its 'endef'"),
    "separator": ("A := 1\nsome words\n", 2, "missing separator"),
    "expanded-separator": ("A := some words\n\n$(A)\n", 3, "missing separator"),
    "recipe-first": ("\techo\n", 1, "recipe commences before first target"),
    "include": ("include nowhere.mk\n", 1, "the included file 'nowhere.mk' does not exist"),
    "recursive": ("A = $(B)\nB = $(A)\nC := $(A)\n", 3, "the recursive variable 'A' refers to itself"),
    "unterminated": ("A := $(B\n", 1, "unterminated variable reference"),
    "unterminated-call": ("A := $(subst a,b\n", 1, "unterminated call to function 'subst': missing ')'"),
    "arguments": ("A := $(subst a,b)\n", 1, "insufficient number of arguments (2) to function 'subst'"),
    "word": ("A := $(word x,a)\n", 1, "non-numeric first argument to 'word' function: 'x'"),
    "word-zero": ("A := $(word 0,a)\n", 1, "first argument to 'word' function must be greater than 0"),
    "empty-name": ("$(nothing) := 1\n", 1, "empty variable name"),
    "error": ("\n\n$(error it is wrong)\n", 3, "it is wrong"),
    "include-cycle": ("include Makefile\n", 1, "includes go round: DIR/Makefile -> DIR/Makefile"),
    "endless-call": ("f = $(call f)\nA := $(call f)\n", 2, "the expansion of this line nests too deeply"),
    "late-word": (
        "A := $(word $(shell echo x),a)\nB := $(A:a=b)\nifdef A\nendif\n",
        3,
        "non-numeric first argument to 'word' function: 'x'",
    ),
}


@pytest.fixture
def around(tmp_path) -> Path:
    """A directory with files for `wildcard` and `include` to find."""
    for name in ("a.mk", "b.mk", "sub/x.mk", "sub/y.c", ".hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"$(info in $(lastword $(MAKEFILE_LIST)))\nX := {name}\n\n")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "link").symlink_to("sub")
    return tmp_path


@pytest.mark.parametrize("name", CASES)
def test_prints_what_gnu_make_prints(name, around):
    write(around, CASES[name] + "\nall: ;\n")
    assert ours(around) == gnu_make(around)


PURE_FUNCTIONS = (
    "addprefix addsuffix basename dir filter filter-out findstring firstword join lastword notdir patsubst sort strip "
    "subst suffix word wordlist words"
)


@pytest.mark.parametrize("name", PURE_FUNCTIONS.split())
def test_how_many_arguments_a_function_takes(name, tmp_path):
    """Too few are an error; what is too much belongs to the last one."""
    for number in range(6):
        arguments = ",".join(["1", "2 b.c", "x/3.c 1 1,", "1", "d.o 1"][:number])
        write(tmp_path, f"$(info [$({name} {arguments})])\nall: ;\n")
        assert ours(tmp_path) == gnu_make(tmp_path), arguments


def test_backslashes_before_a_percent_sign(tmp_path):
    words = " ".join(f"a{number * chr(92)}{middle}b" for number in range(6) for middle in ("x", "%", ""))
    patterns = [f"a{number * chr(92)}%{end}" for number in range(6) for end in ("b", "%b", "")]
    lines = [
        f"$(info {index} $(patsubst {one},<%>,{words}) $(filter {one},{words}) $(filter-out {one} ab,{words}))"
        f"$(info $(patsubst ax%,{one},{words}))\n"
        for index, one in enumerate(patterns)
    ]
    write(tmp_path, "".join(lines) + "all: ;\n")
    assert ours(tmp_path) == gnu_make(tmp_path)


def test_numbers_of_words(tmp_path):
    spans = [(first, last) for first in range(1, 5) for last in range(5)]
    lines = [f"$(info [$(wordlist {first},{last},a b c)] [$(word {first},a b c)])\n" for first, last in spans]
    write(tmp_path, "".join(lines) + "$(info $(wordlist 0,1,a))\nall: ;\n")
    assert ours(tmp_path) == gnu_make(tmp_path)


# What may come after a rule, and whether a line with a tab below it is still the rule's is for GNU make to say.
BETWEEN = [
    "", "# comment", "A = 1", "A := 1", "A ?= 1", "A += 1", "A != echo 1", "define A\nendef", "undefine A", "export A",
    "unexport A", "export", "vpath %.c src", "vpath", "include empty.mk", "-include missing.mk", "include",
    "all: A = 1", "$(T) A = 1", "ifdef A\nendif", "ifndef A\nB = 1\nendif", "ifdef A\nB = 1\nendif", "$(nothing)",
    "$(info x)", "other: ;", "$(C) $(info x)", "$(R): ;", ": ;", "$(nothing): ;", "$(eval B = 1)",
    "override A = 1", "export A = 1",
]  # fmt: skip


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("before", ["all: ;", "$(nothing): ;", ": ;", "T := all:", ""])
def test_whose_a_line_with_a_tab_is(before, between, tmp_path):
    (tmp_path / "empty.mk").touch()
    write(tmp_path, f"T := all:\nR := some\nC := :\n{before}\n{between}\n\tA := $(info a tab)\nall: ;\n")
    assert ours(tmp_path) == gnu_make(tmp_path)


def test_what_is_exported(tmp_path):
    """As a recipe finds it in its environment."""
    write(
        tmp_path,
        "export A = $(B)\nB = 1\nC := $$(B)\nexport C FROM_ENV\nexport D := 2\nE = 3\ndefine F\n4\nendef\nexport F\n"
        "all: ; @printenv A C D F FROM_ENV FROM_CMD; printenv B E HOME || :\n",
    )
    evaluator = Evaluator(tmp_path)
    evaluator.set_environment(ENVIRONMENT)
    evaluator.set_command_line(COMMAND_LINE)
    evaluator.read("Makefile")
    names = ("A", "C", "D", "F", "FROM_ENV", "FROM_CMD", "B", "E", "HOME")
    found = evaluator.exported()
    assert [evaluator.exported_text(name, found[name]) for name in names if name in found] == gnu_make(tmp_path)


def test_includes_may_nest_a_hundred_times(tmp_path):
    for number in range(1, 102):
        (tmp_path / f"{number}.mk").write_text(f"include {number + 1}.mk\n")
    write(tmp_path, "include 3.mk\n")
    (tmp_path / "102.mk").write_text("A = 1\n")
    with pytest.raises(InputError) as caught:
        Evaluator(tmp_path).read("Makefile")
    last = " -> ".join(f"{tmp_path}/{number}.mk" for number in (99, 100, 101, 102))
    assert str(caught.value) == f"{tmp_path}/101.mk:1: includes go round: {last}"
    write(tmp_path, "include 4.mk\n")
    evaluator = Evaluator(tmp_path)
    evaluator.read("Makefile")
    assert evaluator.get("A") == "1"


def test_the_files_of_a_cycle_are_named(tmp_path):
    for number in (1, 2, 3):
        (tmp_path / f"{number}.mk").write_text(f"include {number % 3 + 1}.mk\n")
    write(tmp_path, "include 1.mk\n")
    with pytest.raises(InputError) as caught:
        Evaluator(tmp_path).read("Makefile")
    cycle = " -> ".join(f"{tmp_path}/{number}.mk" for number in (1, 2, 3, 1))
    assert str(caught.value) == f"{tmp_path}/3.mk:1: includes go round: {cycle}"


def test_places_of_messages(tmp_path):
    """What is evaluated has the place of the line that does it; after an included file the place is here again."""
    (tmp_path / "more.mk").write_text("\n\n$(info c)\n")
    write(tmp_path, "$(eval $(info a))\n\n$(eval B := $$(info b))\ninclude more.mk\n$(info d)\n\n$(eval x)\n")
    evaluator = Evaluator(tmp_path)
    with pytest.raises(InputError) as caught:
        evaluator.read("Makefile")
    here = str(tmp_path / "Makefile")
    assert evaluator.messages == [
        (here, 1, "a"), (here, 3, "b"), (f"{tmp_path}/more.mk", 3, "c"), (here, 5, "d"),
    ]  # fmt: skip
    assert str(caught.value).splitlines()[0] == f"{here}:7: missing separator"


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_one_message_with_file_and_line(name, tmp_path):
    text, line, message = MISTAKES[name]
    write(tmp_path, text)
    evaluator = Evaluator(tmp_path)
    evaluator.set_defaults()
    with pytest.raises(InputError) as error:
        evaluator.read("Makefile")
    directory = str(tmp_path)
    first = str(error.value).splitlines()[0]
    assert first == f"{directory}/Makefile:{line}: {message.replace('DIR', directory)}"


@pytest.mark.parametrize("name", sorted(MISTAKES.keys() - {"include-cycle", "endless-call", "late-word"}))
def test_gnu_make_stops_there_too(name, tmp_path):
    write(tmp_path, MISTAKES[name][0])
    assert gnu_make(tmp_path)[-1:] == ["error"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("$(file >x,y)\n", "$(file) is supported for reading only"),
        ("load x.so\n", "the directive 'load' is not supported"),
        ("A := $(.DEFAULT_GOAL)\n", "the variable .DEFAULT_GOAL is not supported"),
        ("A := $(.SHELLSTATUS)\n", "the variable .SHELLSTATUS is not supported"),
        ("A := a\0b\n", "a NUL character in a makefile"),
    ],
)
def test_what_is_not_supported_says_so(text, message, tmp_path):
    write(tmp_path, text)
    with pytest.raises(InputError) as error:
        evaluator = Evaluator(tmp_path)
        evaluator.read("Makefile")
    assert str(error.value).splitlines()[0] == f"{tmp_path}/Makefile:1: {message}"


def test_a_shell_command_that_nobody_looks_at_does_not_run(tmp_path):
    write(
        tmp_path,
        "FLAGS := -O2 $(shell touch ran; echo -Wall)\nFLAGS += $(filter -W%,$(FLAGS))\n"
        "COPY := $(strip $(FLAGS:-O2=-Os))\nifneq ($(FLAGS),)\nLIST := a.o\nendif\n",
    )
    evaluator = Evaluator(tmp_path)
    evaluator.read("Makefile")
    assert evaluator.get("LIST") == "a.o"
    assert not (tmp_path / "ran").exists()
    assert evaluator.get("COPY") == "-Os -Wall -Wall"
    assert (tmp_path / "ran").exists()


def test_equal_commands_run_once(tmp_path):
    write(tmp_path, "A := $(shell echo x >>log; wc -l <log)\nB := $(shell echo x >>log; wc -l <log)\n")
    evaluator = Evaluator(tmp_path)
    evaluator.read("Makefile")
    assert (evaluator.get("A"), evaluator.get("B")) == ("1", "1")


def test_records_what_it_read_and_looked_for(around):
    write(
        around,
        "-include a.mk missing.mk\nA := $(wildcard *.mk gone)$(file <sub/y.c)\nifdef ABSENT\nendif\nB := $(HOME)\n",
    )
    base = Evaluator(around)
    base.set_environment(ENVIRONMENT)
    evaluator = Evaluator(around, base=base.local)
    evaluator.read("Makefile")
    names = {os.path.relpath(path, around): there for path, there in evaluator.files.items()}
    assert names == {"Makefile": True, "a.mk": True, "missing.mk": False, "sub/y.c": True}
    assert evaluator.globs == {"*.mk": ("a.mk", "b.mk"), "gone": ()}
    assert evaluator.base_reads == {"MAKEFLAGS", "MAKEFILE_LIST", "ABSENT", "HOME"}


def test_virtual_files(tmp_path):
    write(tmp_path, "include include/config/auto.conf\n-include gone\n")
    (tmp_path / "gone").write_text("$(error read)\n")
    path = f"{tmp_path}/include/config/auto.conf"
    sources = Sources({path: Program("CONFIG_A=y\n", path), f"{tmp_path}/gone": None})
    evaluator = Evaluator(tmp_path, sources=sources)
    evaluator.read("Makefile")
    assert evaluator.get("CONFIG_A") == "y"


def test_bytes_that_are_not_utf8_survive(tmp_path):
    (tmp_path / "Makefile").write_bytes(
        b"A := \xff\xe9 # \xfe\nB := $(sort $(A) \xc3\xa9)\n$(info $(A) $(B))\nall: ;\n"
    )
    assert ours(tmp_path) == gnu_make(tmp_path)


# Generated makefiles. Few names and words, so that lines touch each other.

NAMES = st.sampled_from(["A", "B", "C", "obj-y", "obj-$(A)", "$(B)-objs", "x", "FROM_ENV", "FROM_CMD"])
WORDS = st.sampled_from(["a", "b.o", "c.c", "d/", "y", "m", "", "%", "a%b", "-x", "$$", "ä", "\\#", "2", "x:y"])


def _function(arguments):
    one = st.tuples(
        st.sampled_from(["strip", "sort", "words", "firstword", "lastword", "dir", "notdir", "suffix", "basename"]),
        arguments,
    )
    two = st.tuples(
        st.sampled_from(["filter", "filter-out", "findstring", "addprefix", "addsuffix", "join"]),
        st.tuples(arguments, arguments),
    )
    three = st.tuples(st.sampled_from(["subst", "patsubst", "if"]), st.tuples(arguments, arguments, arguments))
    many = st.tuples(st.sampled_from(["or", "and"]), st.lists(arguments, min_size=1, max_size=3).map(tuple))
    loop = arguments.map(lambda text: f"$(foreach x,{text},[$(x)$(A)])")
    call = st.tuples(st.sampled_from(["f", "g"]), arguments).map(lambda pair: f"$(call {pair[0]},{pair[1]})")
    shell = st.sampled_from(["$(shell echo a b.o)", "$(shell true)", "$(shell echo y; echo m)"])
    return st.one_of(
        one.map(lambda pair: f"$({pair[0]} {pair[1]})"),
        st.one_of(two, three, many).map(lambda pair: f"$({pair[0]} {','.join(pair[1])})"),
        loop,
        call,
        shell,
        st.tuples(NAMES, WORDS, WORDS).map(lambda part: f"$({part[0]}:{part[1]}={part[2]})"),
        NAMES.map(lambda name: f"$({name})"),
        NAMES.map(lambda name: f"$(origin {name})$(flavor {name})$(value {name})"),
    )


TEXTS = st.recursive(
    WORDS,
    lambda inner: st.one_of(
        _function(inner), st.lists(inner, min_size=1, max_size=3).map(" ".join), st.tuples(inner, inner).map("".join)
    ),
    max_leaves=6,
)
STATEMENTS = st.recursive(
    st.one_of(
        st.tuples(NAMES, st.sampled_from([" = ", " := ", " += ", " ?= ", ":=", "+="]), TEXTS).map("".join),
        st.tuples(st.just("override "), NAMES, st.sampled_from([" := ", " += "]), TEXTS).map("".join),
        st.tuples(NAMES, TEXTS, TEXTS).map(lambda part: f"define {part[0]}\n{part[1]}\n{part[2]}\nendef"),
        NAMES.map(lambda name: f"undefine {name}"),
        st.tuples(NAMES, TEXTS).map(lambda pair: f"$(eval {pair[0]} += {pair[1]})"),
        TEXTS.map(lambda text: f"$(info {text})"),
        st.just("rule: prerequisite\n\t$(error recipe)"),
        st.just("rule: A := 1"),
    ),
    lambda inner: st.tuples(
        st.one_of(
            st.tuples(st.sampled_from(["ifeq", "ifneq"]), TEXTS, TEXTS).map(lambda part: "{} ({},{})".format(*part)),
            st.tuples(st.sampled_from(["ifdef", "ifndef"]), NAMES).map(" ".join),
        ),
        inner,
        st.sampled_from(["else", "else ifdef A"]),
        inner,
    ).map(lambda part: "\n".join(part) + "\nendif"),
    max_leaves=4,
)
MAKEFILES = st.lists(STATEMENTS, min_size=1, max_size=12).map("\n".join)
SHOW = "".join(
    f"\n$(info {name} [$({name})] [$(value {name})] $(origin {name}) $(flavor {name}))"
    for name in ["A", "B", "C", "obj-y"]
)


def _compare(directory: Path, makefile: str) -> None:
    write(directory, f"f = <$(1)$(2)>\ng = $(call f,$(1),x)$(1)\n{makefile}{SHOW}\nall rule prerequisite: ;\n")
    assert ours(directory) == gnu_make(directory)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(MAKEFILES)
@example("A += $(shell true)\nA += $(shell true)\nifdef A\nB := 1\nendif")
def test_generated_makefiles_mean_the_same(tmp_path, makefile):
    _compare(tmp_path, makefile)


@pytest.mark.long
@settings(max_examples=20000, deadline=None, suppress_health_check=list(HealthCheck))
@given(MAKEFILES)
def test_many_generated_makefiles_mean_the_same(tmp_path, makefile):
    _compare(tmp_path, makefile)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet="$(){}abif,:=+?\\\n\t #'\"ende xl%", max_size=80))
def test_garbage_means_the_same_or_is_one_message(tmp_path, text):
    write(tmp_path, f"{text}\n\nall: ;\n")
    theirs = gnu_make(tmp_path)
    if theirs[-1:] != ["error"] and "shell" not in text:
        assert ours(tmp_path) == theirs
    else:
        ours(tmp_path)
