"""A hostile script comes to nothing: it reaches no file, no network and no process, and ends in time.

Where the kernel offers no cell, `smoked` asserts that nothing was run and that the reason is told.
"""

import json
import os
import socket
import subprocess
import sys

import pytest

from mulligan.review.finding import NotChecked
from mulligan.review.smoke.child import parsed_lines
from mulligan.review.smoke.run import cleaned, smoke
from mulligan.review.smoke.start import CHILD, libraries_alone
from smoke_submission import smoked, write

ATTEMPTS = """
import ctypes, os, pathlib, shutil, signal, socket, subprocess, sys, threading

HERE = os.path.dirname(os.path.abspath(__file__))
OUTSIDE, PORT, ASKER = r"%(outside)s", %(port)d, %(asker)d
libc = ctypes.CDLL(None, use_errno=True)


def reached(number):
    if number < 0:
        raise OSError(ctypes.get_errno())


def connect(kind, address):
    with socket.socket(kind, socket.SOCK_STREAM) as out:
        out.settimeout(1)
        out.connect(address)


def through_a_link():
    os.symlink(OUTSIDE + "/victim", "link")
    pathlib.Path("link").write_text("x")


def find_secret():
    texts = [repr(dict(os.environ))]
    for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
        texts.append(path.read_text(errors="replace"))
    if not any("very-secret" in text for text in texts):
        raise OSError


def threads():
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()


did = []
try:
    pathlib.Path("/tmp/mulligan-was-here").write_text("x")  # goes to the scratch folder, or nowhere
except OSError:
    pass
for name, attempt in {
    "scratch": lambda: pathlib.Path("note").write_text("x"),
    "home": lambda: (pathlib.Path.home() / "home").write_text("x"),
    "threads": threads,
    "own folder read": lambda: pathlib.Path(__file__).read_text(),
    "own folder": lambda: pathlib.Path(HERE, "new").write_text("x"),
    "own file": lambda: os.remove(__file__),
    "own file changed": lambda: os.chmod(__file__, 0o777),
    "own file cut": lambda: os.truncate(__file__, 0),
    "own file by its name": lambda: pathlib.Path("train_gpt.py").write_text("x"),
    "root": lambda: pathlib.Path("/mulligan-was-here").write_text("x"),
    "outside read": lambda: pathlib.Path(OUTSIDE, "victim").read_text(),
    "outside listed": lambda: os.listdir(OUTSIDE),
    "outside written": lambda: pathlib.Path(OUTSIDE, "victim").write_text("x"),
    "outside removed": lambda: shutil.rmtree(OUTSIDE),
    "outside made": lambda: os.mkdir(OUTSIDE + "/new"),
    "linked": through_a_link,
    "root read": lambda: pathlib.Path("/withheld").read_text(),
    "passwords": lambda: pathlib.Path("/etc/passwd").read_text(),
    "library": lambda: pathlib.Path(os.__file__).with_name("mulligan_was_here.py").write_text("x"),
    "socket": lambda: connect(socket.AF_INET, ("127.0.0.1", PORT)),
    "far socket": lambda: connect(socket.AF_INET, ("192.0.2.1", 9)),
    "socket file": lambda: connect(socket.AF_UNIX, OUTSIDE + "/socket"),
    "fork": lambda: os.fork() or os._exit(0),
    "program": lambda: subprocess.run(["/usr/bin/env"], check=True),
    "in its place": lambda: os.execv("/usr/bin/env", ["env"]),
    "signal": lambda: os.kill(ASKER, 0),
    "signal to the parent": lambda: os.getppid() or reached(-1),
    "trace": lambda: reached(libc.ptrace(16, ASKER, 0, 0)),
    "namespace": lambda: reached(libc.unshare(0x10000000)),
    "mount": lambda: reached(libc.mount(b"none", b"/scratch", b"tmpfs", 0, None)),
    "memory file": lambda: os.memfd_create("x"),
    "environment": find_secret,
    "fill": lambda: [pathlib.Path(f"full{i}").write_bytes(bytes(200 << 20)) for i in range(2)],
}.items():
    try:
        attempt()
        did.append(name)
    except Exception:
        pass
raise RuntimeError("did: " + ", ".join(did))
"""
ALLOWED = "did: scratch, home, threads, own folder read"


def snapshot(folder):
    return {path: (path.stat().st_mode, path.is_file() and path.read_bytes()) for path in sorted(folder.rglob("*"))}


def test_a_hostile_script_reaches_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("TOKEN", "very-secret")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_text("untouched")
    # the name of a socket file is bounded, so it is bound by a short one
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        monkeypatch.chdir(outside)
        local.bind("socket")
        local.listen()
        server.settimeout(0.1)
        local.settimeout(0.1)
        text = ATTEMPTS % {"outside": outside, "port": server.getsockname()[1], "asker": os.getpid()}
        subject = write(tmp_path / "folder", text)
        before = snapshot(tmp_path / "folder"), (outside / "victim").read_text(), sorted(os.listdir(outside))
        result = smoked(subject, seconds=60)
        assert before == (snapshot(tmp_path / "folder"), (outside / "victim").read_text(), sorted(os.listdir(outside)))
        for listener in (server, local):
            with pytest.raises(TimeoutError):
                listener.accept()
    assert not os.path.exists("/tmp/mulligan-was-here")
    if result:
        (found,), said = result
        assert isinstance(found, NotChecked)
        assert found.reason.startswith(f"smoke test: import: RuntimeError: {ALLOWED} (train_gpt.py, line ")
        assert said == {}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("import time, threading\nthreading.Thread(target=time.sleep, args=[99]).start()\nwhile True:\n    print('x' * 999)",
         "it was killed after 4 s"),
        ("import os\nwhile True:\n    for i in range(3, 20):\n        try:\n            os.write(i, b'x' * 4096)\n"
         "        except OSError:\n            pass", "it was killed, as it told more than"),
        ("held = [bytearray(1 << 26) for _ in range(1600)]", "MemoryError"),
        ("import os\nos.abort()", "it ended with SIG"),
    ],
)  # fmt: skip
def test_what_does_not_end_well_is_ended_and_told(tmp_path, body, told):
    result = smoked(write(tmp_path / "folder", body), seconds=4 if "4 s" in told else 60, memory=1 << 30)
    if result:
        (found,), _ = result
        assert isinstance(found, NotChecked)
        assert told in found.reason


def test_only_lines_with_a_step_count_as_told():
    told = b'{"step": "imported"}\n{"step": 3}\n[1]\nnot json\n' + b"[" * 10000 + b'\n{"step": "forw'
    assert parsed_lines(told) == [{"step": "imported"}]


@pytest.mark.parametrize(
    "lines",
    [
        [{"step": "imported", "error": "none"}],
        [{"step": "imported", "error": {"type": 3}}],
        [{"step": name} for name in ("imported", "built", "forward", "scored")],
        [*({"step": name} for name in ("imported", "built", "forward")), {"step": "scored", "name": "f", "moved": "x"}],
    ],
)
def test_what_the_script_tells_in_our_name_breaks_nothing(tmp_path, monkeypatch, lines):
    told = {"lines": [{"step": "confined", "refused": ""}, *lines], "end": ""}
    monkeypatch.setattr("mulligan.review.smoke.run.run_child", lambda *_: told)
    (found,), said = smoke(write(tmp_path / "folder", ""))
    assert isinstance(found, NotChecked)
    assert found.reason.startswith("smoke test: what it told makes no sense")
    assert said == {}


def test_texts_are_short_and_cannot_steer_a_terminal():
    told = {"message": "\x1b[2Jgone\u202e" + 1000 * "x", "inner": ["\r", 3]}
    assert cleaned(told) == {"message": "?[2Jgone?" + 491 * "x", "inner": ["?", 3]}


def test_it_ends_when_nobody_waits_for_it(tmp_path):
    (tmp_path / "empty").mkdir()
    libraries = libraries_alone()
    bounds = {"seconds": 60, "memory": 1 << 30, "empty": str(tmp_path / "empty"), "folder": str(tmp_path)}
    given = {**bounds, "path": libraries, "libraries": libraries, "script": "train_gpt.py", "texts": {}, "elsewhere": []}
    done = subprocess.run([sys.executable, "-I", "-B", CHILD], input=json.dumps(given) + "\n", capture_output=True, text=True)
    answer = json.loads(done.stdout)  # standard input ended at once, as if who asked were gone
    assert answer["end"] in ("it was killed, as nobody waits for it", "nothing was run")


def test_where_the_kernel_refuses_nothing_is_run(tmp_path, monkeypatch):
    monkeypatch.setattr("mulligan.review.smoke.start.CHILD", tmp_path / "child.py")
    text = CHILD.read_text().replace("leave_network() or", "'refused for a test' or")
    assert text != CHILD.read_text()
    (tmp_path / "child.py").write_text(text)
    (found,), said = smoke(write(tmp_path / "folder", "raise ValueError('it ran')"))
    assert found.reason == "smoke test: nothing was run: refused for a test"
    assert said == {}
