"""What a compiler says that it read, and the configuration symbols that a source mentions."""

from kallmodsyms import depfile
from kallmodsyms.depfile import headers, mentioned_symbols


def test_dependency_file(tmp_path):
    path = tmp_path / "x.d"
    path.write_text("x.o: a.c \\\n include/b\\ c.h d$$e.h \\\n  f.h\n")
    assert headers(path) == ["a.c", "include/b c.h", "d$e.h", "f.h"]
    assert headers(tmp_path / "absent") == []


def test_mentioned_symbols(tmp_path):
    (tmp_path / "a.c").write_text(
        "#ifdef CONFIG_FOO\n#if IS_ENABLED(CONFIG_BAR_MODULE) || XCONFIG_NO\nCONFIG_\n#endif\n"
    )
    assert mentioned_symbols(tmp_path / "a.c") == {"FOO", "BAR"}
    assert mentioned_symbols(tmp_path / "absent.c") == frozenset()


def test_what_would_have_been_read_instead(tmp_path):
    """As gcc looks for headers: in each directory of -I in turn."""
    for folder in ("a/asm", "b/linux", "b/asm", "c/linux"):
        (tmp_path / folder).mkdir(parents=True)
    for path in ("b/linux/x.h", "c/linux/x.h", "c/linux/y.h", "b/asm/z.h"):
        (tmp_path / path).write_text("")
    saw = depfile.Recorded(("d/x.c", "c/linux/x.h", "c/linux/y.h", "b/asm/z.h"), (), ("a", "b", "c"), False)
    assert depfile.Earlier(tmp_path).than(saw) == ["a/linux", "b/linux/y.h", "a/asm/z.h"]
