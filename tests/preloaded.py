"""Runs commands of Python in forks of one process that has imported the libraries.

Importing them takes seconds, which tests that run dozens of commands would spend on little else. A command has a
process, arguments, variables, a folder and streams of its own all the same, and imports our packages itself.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import multiprocessing.util
import os
import pkgutil
import select
import signal
import site
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
import types
from collections.abc import Iterator, Sequence
from pathlib import Path

LIBRARIES = (
    *("altair", "cvxpy", "dvc.repo", "git", "gymnasium", "matplotlib.pyplot", "mlflow", "mujoco", "pandas", "pydantic"),
    *("hypothesis", "pytest", "scipy.optimize", "scipy.stats", "seaborn", "stable_baselines3", "torch._dynamo", "zuko"),
)
READY = b"ready"
# Isolated and without packages, it starts in some milliseconds. A shell starts it, since the path may have a space.
CLIENT = """#!/bin/sh
'''exec' "{python}" -IS "$0" "$@"
'''
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as command:
    command.connect({address!r})
    socket.send_fds(command, [b" "], [0, 1, 2])
    command.sendall(json.dumps([{function!r}, sys.argv, dict(os.environ), os.getcwd()]).encode() + b"\\n")
    sys.exit(int(command.recv(4)))
"""


@contextlib.contextmanager
def serve() -> Iterator[str]:
    """Start the process that forks; yields its address, for ``write_program``."""
    with tempfile.TemporaryDirectory() as folder:
        address = str(Path(folder) / "socket")
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.preloaded", address],
            cwd=Path(__file__).parents[1],
            env=os.environ | {"OMP_NUM_THREADS": "1", "HOME": folder},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        with process:
            assert process.stdout is not None
            assert process.stdout.read(len(READY)) == READY
            try:
                yield address
            finally:
                os.killpg(process.pid, signal.SIGKILL)


def write_program(path: Path, function: str, address: str) -> None:
    """Make a program that calls a function, such as ``benchmark.cli:main``, in a fork."""
    path.write_text(CLIENT.format(python=sys.executable, address=address, function=function))
    path.chmod(0o755)


def main(address: str) -> None:
    """Fork for each command that comes to an address."""
    for library in LIBRARIES:
        importlib.import_module(library)
    gc.freeze()
    # Whoever has ended needs nobody to ask how.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        os.write(sys.stdout.fileno(), READY)
        while True:
            command, _ = server.accept()
            if os.fork() == 0:
                break
            command.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, *_ = socket.recv_fds(command, 1, 3)
    with command.makefile() as request:
        function, arguments, variables, folder = json.loads(request.readline())
    # The command's own process. This one waits for it, as a shell does, and says how it ended.
    if child := os.fork():
        # The program says nothing more: it was killed.
        if command in select.select([command, os.pidfd_open(child)], [], [])[0]:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        with contextlib.suppress(BrokenPipeError):
            command.sendall(str(code if code >= 0 else 128 - code).encode())
        os._exit(0)
    command.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    run(function, arguments, variables)


def run(function: str, arguments: list[str], variables: dict[str, str]) -> None:
    """Call a function as an installed program does, in the Python environment that the program lies in."""
    os.environ.clear()
    os.environ.update(variables)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Processes that multiprocessing starts import the main module by its name: it must not be this one.
    sys.modules["__main__"] = types.ModuleType("__main__")
    sys.argv = arguments
    programs = Path(arguments[0]).absolute().parent
    given = variables.get("PYTHONPATH", "")
    sys.path[:1] = [str(programs), *filter(None, given.split(os.pathsep))]
    if (python := programs / "python").exists():
        sys.executable = str(python)
        for packages in programs.parent.glob("lib/*/site-packages"):
            site.addsitedir(str(packages))
    multiprocessing.util.spawnv_passfds = fork_and_execute
    importlib.invalidate_caches()
    try:
        code = pkgutil.resolve_name(function)()
    except SystemExit as left:
        code = left.code
    except BaseException:
        traceback.print_exc()
        code = 1
    # Do what Python does at its end, but do not take every object apart: that takes longer than many commands.
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


def fork_and_execute(program: str, arguments: list[str], kept: Sequence[int]) -> int:
    """Run in a fork what multiprocessing would start a new Python for, such as the process that workers come from.

    Args:
        program: That of Python.
        arguments: The last one is the code.
        kept: What is to stay open besides the standard streams.
    """
    del program
    if child := os.fork():
        return child
    first = 3
    for descriptor in [*sorted(kept), os.sysconf("SC_OPEN_MAX")]:
        os.closerange(first, descriptor)
        first = descriptor + 1
    try:
        exec(arguments[-1], {})
    finally:
        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
