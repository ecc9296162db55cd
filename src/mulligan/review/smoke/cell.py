"""A process that foreign code may run in: no network, no other process, no file but libraries and one folder, bounded memory.

Linux alone has what it takes. Each function returns why it could not, or an empty string; a cell that is not whole is not used.
"""

import ctypes
import os
import platform
from collections.abc import Sequence
from pathlib import Path

from mulligan.audit.child import below

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWPID = 0x20000, 0x8000000, 0x20000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 0x1000, 0x4000, 0x40000
MNT_DETACH, AT_FDCWD, AT_RECURSIVE, MOUNT_SETATTR = 2, -100, 0x8000, 442
ATTR_RDONLY, ATTR_NOSUID = 1, 2
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
CAPSET = {"x86_64": 126, "aarch64": 91}
CAPABILITIES_VERSION = 0x20080522
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
SCRATCH, WITHHELD = "/scratch", "/withheld"
SUBMISSION = "/challenge/records/track/submission"
"""As deep as in the challenge's repository, since scripts look for folders above their own."""
SCRATCH_BYTES, SCRATCH_FILES = 256 << 20, 4096
OPEN_FILES, THREADS = 256, 256


def leave_processes(user: int, group: int) -> str:
    """Make this process's next child the first of a process namespace: it sees and signals nobody else.

    It must be in a user namespace of its own, in which `user` and `group`, its own from before, then keep their numbers.
    """
    try:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            Path(f"/proc/self/{name}").write_text(text)
        _checked("unshare", CLONE_NEWPID)
    except OSError as error:
        return f"the kernel refuses a process namespace ({error.strerror})"
    return ""


def leave_files(empty: Path, libraries: Sequence[str], folder: str) -> str:
    """Put this process at a root of its own, in memory: `libraries` and `folder` (as SUBMISSION) to read, SCRATCH to write.

    `empty`: a folder to lay it out over. What is not listed is not there, sockets of other programs among them.
    """
    machine = platform.machine()
    if machine not in PIVOT_ROOT:
        return f"no way known to change the root on {machine}"
    try:
        _checked("unshare", CLONE_NEWNS | CLONE_NEWIPC)
        _mount("none", "/", None, MS_REC | MS_PRIVATE)
        _mount("tmpfs", str(empty), "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755")
        bound: list[str] = []
        for path in sorted({os.path.normpath(path) for path in libraries}):
            if not below(path, bound):
                _bind(path, str(empty) + path)
                bound.append(path)
        for path in DEVICES:
            _bind(path, str(empty) + path)
        _bind(folder, str(empty) + SUBMISSION)
        (empty / WITHHELD[1:]).write_text("not for reading")
        for name in (SCRATCH, "/proc"):
            (empty / name[1:]).mkdir()
        if not (empty / "tmp").exists():  # unless libraries lie there
            (empty / "tmp").symlink_to(SCRATCH)
        _fresh_proc(str(empty / "proc"))
        attributes = (ctypes.c_uint64 * 4)(ATTR_RDONLY | ATTR_NOSUID, 0, 0, 0)
        _checked("syscall", MOUNT_SETATTR, AT_FDCWD, bytes(empty), AT_RECURSIVE, attributes, ctypes.sizeof(attributes))
        scratch = f"size={SCRATCH_BYTES},nr_inodes={SCRATCH_FILES},mode=700"
        _mount("tmpfs", str(empty) + SCRATCH, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, scratch)
        os.chdir(empty)
        _checked("syscall", PIVOT_ROOT[machine], b".", b".")
        _checked("umount2", b".", MNT_DETACH)
        os.chdir(SCRATCH)
    except OSError as error:
        return f"the kernel refuses a root of its own ({error.strerror or error})"
    whole = os.path.exists(WITHHELD) and os.statvfs("/").f_flag & os.statvfs(SUBMISSION).f_flag & os.ST_RDONLY
    if not whole:
        return "the root is not the one that was laid out"
    return ""


def drop_rights() -> str:
    """Give up every capability of this user namespace."""
    header = (ctypes.c_uint32 * 2)(CAPABILITIES_VERSION, 0)
    none = (ctypes.c_uint32 * 6)()
    try:
        _checked("syscall", CAPSET[platform.machine()], header, none)
    except OSError as error:
        return f"capabilities could not be dropped ({error.strerror})"
    return ""


def bound_resources(memory: int, seconds: int) -> None:
    """Bound this process: bytes of address space, seconds of CPU, sizes and number of files, threads; no core dump."""
    import resource  # not there on Windows, where this file is imported all the same

    for kind, limit in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, SCRATCH_BYTES),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_NPROC, THREADS),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        value = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (value, value))


def _fresh_proc(target: str) -> None:
    try:
        _mount("proc", target, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    except OSError:
        return  # within some containers; then there is none


def _bind(source: str, target: str) -> None:
    if not os.path.exists(source):
        return
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        Path(target).touch()
    _mount(source, target, None, MS_BIND | MS_REC)


def _mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    texts = [None if text is None else text.encode() for text in (source, target, kind, options)]
    _checked("mount", *texts[:3], ctypes.c_ulong(flags), texts[3])


def _checked(name: str, *arguments: object) -> None:
    """Call a function of the C library; OSError where it does not return 0."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
