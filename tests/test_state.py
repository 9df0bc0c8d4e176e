"""Whether a task must run again: each reason, in the words that the user reads, and no reason where there is none."""

import os

import pytest

from kallmodsyms.state import State, headers, mentioned_symbols


def made(base, **changes):
    """The state of a task that wrote `out`, found `a.h`, looked for `absent.h` in vain, and depends on CONFIG_A and CONFIG_B."""
    options = {
        "command": ["cc", "-c"],
        "targets": ["out"],
        "found": lambda: ["a.h", "absent.h"],
        "symbols": lambda: ["A", "B"],
        "config": {"A": "y"},
        "base": str(base),
    }
    return State(**(options | changes))


@pytest.fixture
def recorded(tmp_path):
    (tmp_path / "out").write_text("object")
    (tmp_path / "a.h").write_text("header")
    return tmp_path, made(tmp_path).record()


def test_nothing_changed(recorded):
    base, record = recorded
    assert made(base).why(record) is None


def test_never_ran(tmp_path):
    assert made(tmp_path).why({}) == "it has not run here yet"


def test_touch_is_no_change(recorded):
    base, record = recorded
    os.utime(base / "a.h", (1, 1))
    assert made(base).why(record) is None


def test_same_mtime_and_size_but_other_content(recorded):
    base, record = recorded
    stat = (base / "a.h").stat()
    (base / "a.h").write_text("HEADER")
    os.utime(base / "a.h", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert made(base).why(record) == "a.h changed"


@pytest.mark.parametrize(
    "edit, changes, reason",
    [
        (lambda base: None, {"command": ["cc", "-g"]}, "its command changed: '-c' became '-g'"),
        (lambda base: None, {"command": ["cc"]}, "its command changed: it had 2 words and has 1"),
        (lambda base: (base / "out").write_text("damaged"), {}, "its target out is not what it wrote"),
        (lambda base: (base / "out").unlink(), {}, "its target out is not what it wrote"),
        (lambda base: (base / "a.h").write_text("edited"), {}, "a.h changed"),
        (lambda base: (base / "a.h").unlink(), {}, "a.h changed"),
        (lambda base: (base / "absent.h").write_text(""), {}, "absent.h appeared"),
        (lambda base: None, {"config": {"A": "m"}}, "CONFIG_A was y and is m"),
        (lambda base: None, {"config": {}}, "CONFIG_A was y and is n"),
        (lambda base: None, {"config": {"A": "y", "B": "y"}}, "CONFIG_B was n and is y"),
    ],
)  # fmt: skip
def test_each_reason(recorded, edit, changes, reason):
    base, record = recorded
    edit(base)
    state = made(base, **changes)
    assert state.why(record) == reason
    assert not state(None, record)
    assert repr(state) == reason


def test_dependency_file(tmp_path):
    path = tmp_path / "x.d"
    path.write_text("x.o: a.c \\\n include/b\\ c.h d$$e.h \\\n  f.h\n")
    assert headers(path) == ["a.c", "include/b c.h", "d$e.h", "f.h"]
    assert headers(tmp_path / "absent") == []


def test_mentioned_symbols(tmp_path):
    (tmp_path / "a.c").write_text(
        "#ifdef CONFIG_FOO\n#if IS_ENABLED(CONFIG_BAR_MODULE) || XCONFIG_NO\nCONFIG_\n#endif\n"
    )
    assert mentioned_symbols(["a.c", "absent.c"], str(tmp_path)) == {"FOO", "BAR"}
