"""The pages of docs/, README and CONTRIBUTING: each command that they show is run, each link leads somewhere.

Before a block of commands (```sh) a comment says how it is run: `<!-- run: toy -->` in a copy of the repository where
the toy is built, those of a page in their order; `built` beside a small kernel that was built; `long` as the first,
with a kernel tree, behind the marker; or it names the test that does the same in a place of its own. Whatever a page
shows is parsed.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_package import LEFT_OUT, run
from toy_kit import ROOT

from kallmodsyms import cli

PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
TEXT = {str(page.relative_to(ROOT)): page.read_text() for page in PAGES}
BLOCK = re.compile(r"^(?:<!-- run: (\S+) -->\n)?```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = {name: BLOCK.findall(text) for name, text in TEXT.items() if BLOCK.search(text)}


def pages(mode: str) -> list[str]:
    return [name for name, blocks in BLOCKS.items() if any(how == mode for how, _ in blocks)]


def run_all(name: str, mode: str, directory: Path) -> None:
    """Run a page's blocks of one mode as one script, in a directory; the first command that fails ends it."""
    script = "set -eux\n" + "".join(block for how, block in BLOCKS[name] if how == mode)
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": programs, "PYTHONPATH": str(directory / "pipeline")}
    done = subprocess.run(["bash", "-c", script], cwd=directory, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "Traceback" not in done.stderr


def copy_of_the_repository(directory: Path) -> Path:
    return Path(shutil.copytree(ROOT, directory / "repository", ignore=LEFT_OUT, symlinks=True))


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A copy of the repository where the toy is built, and a copy of that."""
    repository = copy_of_the_repository(tmp_path_factory.mktemp("toy"))
    run(sys.executable, "-m", "doit", cwd=repository)
    return repository, shutil.copytree(repository, repository.with_name("kept"), symlinks=True)


@pytest.fixture
def with_toy(kept):
    """The first, as it was: where a build directory has another path everything would be built again."""
    repository, copy = kept
    shutil.rmtree(repository)
    return Path(shutil.copytree(copy, repository, symlinks=True))


def test_every_block_says_how_it_is_run():
    for name, blocks in BLOCKS.items():
        for how, _ in blocks:
            assert how in ("toy", "built", "long") or (how.startswith("tests/") and (ROOT / how).is_file()), (name, how)


@pytest.mark.parametrize("name", pages("toy"))
def test_on_the_toy(name, with_toy):
    run_all(name, "toy", with_toy)


@pytest.mark.parametrize("name", pages("built"))
def test_beside_a_kernel(name, built, linux_6_1, tmp_path):
    (tmp_path / "build").mkdir()
    (tmp_path / "build/linux-small").symlink_to(built)
    (tmp_path / "linux-6.1").symlink_to(linux_6_1)
    (tmp_path / "pipeline").symlink_to(ROOT / "pipeline")
    run_all(name, "built", tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("name", pages("long"))
def test_on_a_real_tree(name, tmp_path, linux_6_1, linux_6_12):
    copy = copy_of_the_repository(tmp_path)
    (copy / "linux-6.1").symlink_to(linux_6_1)
    (copy / "linux-6.12").symlink_to(linux_6_12)
    run_all(name, "long", copy)


def command_lines() -> list[tuple[str, str]]:
    """(page, line) of each line in a block, indented or fenced, that calls this package."""
    found = []
    for name, text in TEXT.items():
        fenced = "".join(re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
        lines = fenced.splitlines() + re.findall(r"^    (.*)$", text, re.MULTILINE)
        found += [(name, line) for line in lines if re.search(r"(^|[|&;] *)kallmodsyms ", line)]
    return found


@pytest.mark.parametrize("name, line", command_lines())
def test_a_command_is_one(name, line):
    """The parser takes it: the subcommand and the options are there."""
    for part in re.split(r"\||&&|;|\s>|\s<", re.sub(r"\s{2,}#.*|\\$", "", line)):
        words = [word for word in shlex.split(part.replace("…", "")) if word]
        if words[:1] == ["kallmodsyms"] and not {"--help", "--version"} & set(words):
            with contextlib.redirect_stderr(io.StringIO()) as said:
                try:
                    cli._parser().parse_args(words[1:])
                except SystemExit:
                    assert "the following arguments are required" in said.getvalue() or "--nonsense" in line, (
                        said.getvalue()
                    )


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and MyST make them."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", TEXT)
def test_links_lead_somewhere(name):
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXT[name]):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = (ROOT / name).parent / path if path else ROOT / name
        assert there.exists(), (name, target)
        assert not anchor or anchor in anchors(there.read_text()), (name, target)


def test_the_site(tmp_path):
    """Sphinx finds every page, and no link that leads nowhere; what the parser says is on the page of commands."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    assert run(ROOT / "docs/make", tmp_path / "site", env=environment) == ""
    assert (tmp_path / "site/docs/index.html").exists()
    assert "--relocate-from" in (tmp_path / "site/docs/reference/commands.html").read_text()
