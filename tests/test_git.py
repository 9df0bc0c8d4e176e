"""What is watched of a tree that git knows: whatever changes the answer of scripts/setlocalversion."""

import subprocess
from types import SimpleNamespace

import pytest

from kallmodsyms.facts import Files, World
from kallmodsyms.plan import make


def git(place, *words):
    identity = ("-c", "user.name=u", "-c", "user.email=e")
    subprocess.run(["git", *identity, *words], cwd=place, check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path):
    """A second work tree, whose .git is a file."""
    first = tmp_path / "first"
    first.mkdir()
    git(first, "init", "-q", "-b", "main")
    (first / "Makefile").write_text("all:\n")
    git(first, "add", ".")
    git(first, "commit", "-qm", "one")
    git(first, "worktree", "add", "-q", "-b", "topic/one", str(tmp_path / "second"))
    return tmp_path / "second"


@pytest.mark.parametrize("which", ["first", "second"])
def test_what_git_says_is_watched(tree, which):
    """Each change of the commit, the branch or a tag, and of a file where that matters; nothing else."""
    place = tree.parent / which
    plan = SimpleNamespace(
        profile=SimpleNamespace(tree=place),
        configured=SimpleNamespace(configuration=SimpleNamespace(values={"LOCALVERSION_AUTO": "y"})),
    )

    def seen():
        world = World(Files(place)).under(edited=make._edited)
        return {key: world.look(*key) for key in make.Make._git(plan)}

    states = [seen()]
    git(place, "status")
    assert seen() == states[0]
    (place / "Makefile").write_text("all: more\n")
    states.append(seen())
    git(place, "commit", "-qam", "two")
    states.append(seen())
    git(place, "tag", "v1")
    states.append(seen())
    git(place, "checkout", "-q", "--detach", "HEAD~1")
    states.append(seen())
    assert all(states.count(state) == 1 for state in states)
