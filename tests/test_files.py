"""Where an output goes that a user named with `-o`: as the shell's `>` would have it, but for regular files, which are
replaced at once.
"""

import os
import stat
import subprocess
import sys
import threading

import pytest
from toy_kit import ROOT

from kallmodsyms import cli, files
from kallmodsyms.errors import InputError


def test_a_new_file_gets_the_mode_that_a_shell_gives(tmp_path):
    files.deliver(tmp_path / "ours", "text")
    subprocess.run("printf text > shell", shell=True, cwd=tmp_path, check=True)
    ours, shell = ((tmp_path / name).stat() for name in ("ours", "shell"))
    assert (ours.st_mode, ours.st_uid, ours.st_gid) == (shell.st_mode, shell.st_uid, shell.st_gid)
    assert sorted(os.listdir(tmp_path)) == ["ours", "shell"]


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o4755])
def test_a_regular_file_is_replaced_and_keeps_its_mode(tmp_path, mode):
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(mode)
    before = path.stat()
    with open(path) as reader:
        files.deliver(path, "new")
        assert reader.read() == "old"  # who reads goes on with the old one
    assert path.read_text() == "new"
    assert (path.stat().st_mode, path.stat().st_uid) == (before.st_mode, before.st_uid)


def test_a_regular_file_keeps_its_owner(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    owner = (os.getuid(), os.getgroups()[-1]) if os.getuid() else (1234, 4321)  # only root may give files away
    os.chown(path, *owner)
    files.deliver(path, "new")
    assert path.read_text() == "new" and (path.stat().st_uid, path.stat().st_gid) == owner


def test_what_cannot_be_given_back_to_its_owner_is_written_in_place(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old and long")
    inode = path.stat().st_ino

    def refuse(*arguments):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refuse)
    files.deliver(path, "new")
    assert path.read_text() == "new" and path.stat().st_ino == inode and os.listdir(tmp_path) == ["file"]


def test_content_that_is_the_same_is_written(tmp_path):
    """make goes by times: a rule with `-o $@` that leaves the old one runs for ever."""
    path = tmp_path / "file"
    path.write_text("same")
    os.utime(path, (1, 1))
    files.deliver(path, "same")
    assert path.stat().st_mtime > 1


def test_a_link_is_followed(tmp_path):
    (tmp_path / "target").write_text("old")
    for target, link in (("target", "link"), ("absent", "dangling")):
        (tmp_path / link).symlink_to(target)
        files.deliver(tmp_path / link, "new")
        assert os.readlink(tmp_path / link) == target and (tmp_path / target).read_text() == "new"


def test_a_pipe_and_a_device_stay_what_they_are(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    files.deliver(pipe, b"through")
    reader.join()
    assert read == [b"through"] and stat.S_ISFIFO(pipe.stat().st_mode)
    with pytest.raises(InputError, match=r"/dev/full: cannot be written: No space left on device"):
        files.deliver("/dev/full", "text")
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_no_directory_is_made(tmp_path):
    with pytest.raises(InputError, match="absent/file: cannot be written: No such file or directory"):
        files.deliver(tmp_path / "absent/file", "text")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("where", ["-", "/dev/stdout"])
def test_standard_output(tmp_path, where):
    """As a command: behind what was written to it before, and without a file of that name."""
    (tmp_path / ".config").touch()
    words = ["tristate", "--tree", ROOT / "toy_kernel", "--objdir", tmp_path, "--arch", "x86"]
    command = [sys.executable, "-m", "kallmodsyms", *map(str, words)]
    plain = subprocess.run(command, capture_output=True, check=True, cwd=tmp_path).stdout
    assert subprocess.run([*command, "-o", where], capture_output=True, check=True, cwd=tmp_path).stdout == plain != b""
    assert sorted(os.listdir(tmp_path)) == [".config", ".kallmodsyms"]


def test_two_files_do_not_go_to_standard_output(tmp_path, capsys):
    for name in ("nm", "ranges", "thick"):
        (tmp_path / name).write_text("1000 T _text\n1000 T _stext\n2000 T _etext\n" if name == "nm" else "")
    inputs = {"--symbols": "nm", "--ranges": "ranges", "--thick": "thick"}
    words = [f"{option}={tmp_path / name}" for option, name in inputs.items()]
    assert cli.main(["tables", *words, "--format=incbin", "-o", "-"]) == 1
    assert capsys.readouterr().err.startswith("kallmodsyms: --format=incbin writes two files")
