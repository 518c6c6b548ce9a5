"""One run of the script under watch, from its start to its record, however it ends."""

from __future__ import annotations

import builtins
import contextlib
import os
import signal
import sys
import threading
import time
from collections import defaultdict
from functools import wraps
from importlib import import_module
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, NoReturn

from msgspec.structs import replace

from clipcheck.verify.child.imports import AfterImport, Finder
from clipcheck.verify.child.notes import SESSION, notes_by_path
from clipcheck.verify.child.script import begin_in_script, run_as_main, traceback_text
from clipcheck.verify.child.session import EnoughError, Session
from clipcheck.verify.folder import JOB, of_rank
from clipcheck.verify.record import Ended, Record, Seen
from clipcheck.verify.wire import dumps, job_from

TELL_EVERY = 0.1
"""Seconds between two words about the progress."""

WATCHERS = {"torch": "torch_watcher", "keras": "keras_watcher", "tf_keras": "keras_watcher"}
WITH_DATASETS = ("keras", "tf_keras", "torchvision")
INTERRUPTS = [signal.Signals[name] for name in ("SIGINT", "SIGBREAK") if hasattr(signal, name)]
"""What Ctrl-C, and on Windows Ctrl-Break, sends."""
PROCESSES = "multiprocessing.process"


def run(folder: Path) -> NoReturn:
    """Runs the job of a folder, writes its record there, and ends the process."""
    own = Run(folder)
    own.prepare()
    code = own.run_script()
    if not own.session.is_at_end and _other_threads():  # They would keep the process alive.
        own.leave(Ended.INTERRUPTED)
    sys.exit(code)


class Run:
    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._job = job_from((self._folder / JOB).read_text(encoding="utf-8"))
        # Before the script can change the working directory.
        self._script = Path(self._job.script)
        self._rank = int(os.environ.get("RANK", "0"))
        self._process = os.getpid()
        self._is_recorded = False
        self._is_interrupted = False
        self._next_word = 0.0
        self._telling = threading.Lock()
        self._progress = os.open(of_rank(self._folder, "progress", self._rank), os.O_WRONLY | os.O_CREAT)
        self.session = Session(self._job, self._tell, lambda: self.leave(Ended.ENOUGH))

    def prepare(self) -> None:
        """Everything that must be in place before the script's first statement."""
        of_rank(self._folder, "pid", self._rank).write_text(str(os.getpid()))
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        self._notes = {os.path.realpath(path): notes for path, notes in notes_by_path(self._job.claims).items()}
        setattr(builtins, SESSION, self.session)
        Finder(self._after_imports(), self._notes).install()
        self._catch_signals()
        self._catch_ends_of_threads()

    def run_script(self) -> int:
        """Runs it, writes the record, and returns the exit code."""
        job = self._job
        notes = self._notes.get(os.path.realpath(self._script), ())
        ended, error, code = Ended.FINISHED, None, 0
        script = self._script.absolute()
        try:
            run_as_main(self._script, job.code, job.arguments, notes)
            _wait_for_threads()
        except SystemExit as exit_:
            error = _failure(exit_)
            ended, code = (Ended.CRASHED, 1) if error else (Ended.FINISHED, 0)
        except BaseException as raised:
            ended, code = Ended.CRASHED, 1
            if not self._is_stopped:
                begin_in_script(raised, script)
                error = traceback_text(raised)
                if job.code is not None and sys.excepthook is sys.__excepthook__:
                    sys.stderr.write(error)  # The hook itself would show the lines of the file.
                else:
                    sys.excepthook(type(raised), raised, raised.__traceback__)
        self._record(ended, error)
        return 0 if self._is_stopped else code

    def leave(self, ended: Ended) -> NoReturn:
        """Ends the process at once, whatever the script still does."""
        self._record(ended)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(0)

    @property
    def _is_stopped(self) -> bool:
        """Whether it was us who ended the script."""
        return self.session.is_enough or self._is_interrupted

    def _record(self, ended: Ended, error: str | None = None) -> None:
        if self._is_recorded or os.getpid() != self._process:
            return
        self._is_recorded = True
        with contextlib.suppress(ValueError):  # It may not be the main thread.
            for number in INTERRUPTS:
                signal.signal(number, signal.SIG_IGN)
        if self._is_stopped:
            ended = Ended.ENOUGH if self.session.is_enough else Ended.INTERRUPTED
        self.session.is_at_end = ended is Ended.FINISHED
        path = of_rank(self._folder, "record", self._rank)
        unfinished = path.with_name(f"{path.name}.part")  # Not `with_suffix`: the suffix is the rank.
        unfinished.write_text(dumps(self._seen(ended, error)), encoding="utf-8")
        unfinished.replace(path)

    def _seen(self, ended: Ended, error: str | None) -> Record:
        session = self.session
        seen: list[Seen] = []
        history: dict[int, list[tuple[int, float]]] = defaultdict(list)
        versions: dict[str, str] = {}
        for watcher in session.watchers:
            try:
                seen += (replace(one, rank=self._rank) for one in watcher.finish())
                for claim, looks in watcher.history().items():
                    history[claim] += looks
                versions |= watcher.versions()
            except Exception:
                session.failed("the last look")
        return Record(
            ended,
            updates=session.updates,
            seen=tuple(seen),
            reached=tuple(sorted(session.reached)),
            bound=tuple(sorted(session.bound)),
            history={claim: tuple(sorted(looks)) for claim, looks in history.items()},
            error=error,
            versions=versions,
            saved=tuple(session.saved),
            has_processes=session.has_processes,
            problems=tuple(session.problems),
            rank=self._rank,
        )

    def _tell(self, updates: int) -> None:
        now = time.monotonic()
        if now >= self._next_word and os.getpid() == self._process:
            self._next_word = now + TELL_EVERY
            with self._telling:
                os.lseek(self._progress, 0, os.SEEK_SET)
                os.write(self._progress, b"%9d" % updates)

    def _after_imports(self) -> dict[str, AfterImport]:
        wanted = {*WATCHERS, *(WITH_DATASETS if self._job.fake_data else ())}
        return {**dict.fromkeys(wanted, self._imported), PROCESSES: self._watch_processes}

    def _watch_processes(self, module: ModuleType) -> None:
        """Every way of `multiprocessing`, and of what is built on it, leads through the start of a process."""
        process: Any = module.BaseProcess
        start = process.start

        @wraps(start)
        def starting(own: Any) -> None:
            self.session.has_processes = True
            start(own)

        process.start = starting

    def _imported(self, module: ModuleType) -> None:
        """Called after the import of a framework."""
        name = module.__name__
        try:
            if name in WITH_DATASETS and self._job.fake_data:
                import_module("clipcheck.verify.child.fake_data").install(module, self._job.seed)
            if name in WATCHERS:
                install = import_module(f"clipcheck.verify.child.{WATCHERS[name]}").install
                watcher = install(self.session) if name == "torch" else install(self.session, module)
                self.session.watchers.append(watcher)
        except Exception:
            self.session.failed(f"preparing {name}")

    def _catch_signals(self) -> None:
        for number in INTERRUPTS:
            signal.signal(number, self._on_interrupt)
        signal.signal(signal.SIGTERM, self._on_end)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget_signals)

    def _on_interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._is_interrupted:  # The script has caught the first one, and goes on.
            self.leave(Ended.INTERRUPTED)
        self._is_interrupted = True
        raise KeyboardInterrupt

    def _on_end(self, number: int, frame: FrameType | None) -> None:
        self._is_interrupted = True
        self.leave(Ended.INTERRUPTED)

    def _forget_signals(self) -> None:
        """In a process that the script forks, signals do what they always do."""
        for number, own, default in (
            (signal.SIGINT, self._on_interrupt, signal.default_int_handler),
            (signal.SIGTERM, self._on_end, signal.SIG_DFL),
        ):
            if signal.getsignal(number) == own:
                signal.signal(number, default)

    def _catch_ends_of_threads(self) -> None:
        others = threading.excepthook

        def ended(arguments: threading.ExceptHookArgs) -> None:
            if issubclass(arguments.exc_type, EnoughError):  # The main thread may wait for this one for ever.
                self.leave(Ended.ENOUGH)
            others(arguments)

        threading.excepthook = ended


def _failure(exit_: SystemExit) -> str | None:
    """What the script says by `sys.exit`; None if that is success."""
    if exit_.code is None or exit_.code == 0:
        return None
    if isinstance(exit_.code, int):
        return f"sys.exit({exit_.code})"
    print(exit_.code, file=sys.stderr)
    return str(exit_.code)


def _other_threads() -> list[threading.Thread]:
    current = threading.current_thread()
    return [thread for thread in threading.enumerate() if thread is not current and not thread.daemon]


def _wait_for_threads() -> None:
    """A script is at its end when its threads are. The workers of its pools are told that there is no more to come."""
    for end_of_pool in reversed(getattr(threading, "_threading_atexits", ())):  # As the interpreter does at its end.
        end_of_pool()
    while threads := _other_threads():
        for thread in threads:
            thread.join()
