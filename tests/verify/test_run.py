"""The child process: scripts run as under `python SCRIPT`, and leave a record however they end."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from clipcheck.verify import run as runner
from clipcheck.verify.claim import Claim, Kind, Note
from clipcheck.verify.job import Job
from clipcheck.verify.record import Ended, Record
from clipcheck.verify.run import Outcome, run

TOY = Path(__file__).parent / "toy.py"

HEAD = """\
import os, signal, sys, threading, time
from toy import Weight
w = Weight()
"""
JOB_OPTIONS = ("updates", "code", "claims")
NOTED = Note("train.py", 3, 0, True, "w")


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "GRACE", 1.0)
    shutil.copy(TOY, tmp_path / "toy.py")
    return tmp_path


@pytest.fixture
def watch(project):
    """Runs a script that begins with HEAD, with its weight `w` watched for [-1, 1]."""

    def watched(body: str = "", *, notes: tuple[Note, ...] = (NOTED,), head: str = HEAD, **options) -> Outcome:
        (project / "train.py").write_text(head + dedent(body))
        options.setdefault("timeout", 60)
        return run(job(project, notes, **{key: options.pop(key) for key in JOB_OPTIONS if key in options}), **options)

    return watched


def job(project: Path, notes: tuple[Note, ...] = (), script: str = "train.py", **more) -> Job:
    claim = Claim(Kind.WEIGHTS, "w", "`w` stays small", script, 3, low=-1.0, high=1.0, notes=notes)
    claims = more.pop("claims", (claim,))
    folder = project / "job"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return Job(script, tuple(more.pop("arguments", ())), claims, str(folder), **more)


def only(outcome: Outcome) -> Record:
    (record,) = outcome.records
    return record


def interrupt_once_updated(updates: int) -> None:
    """What Ctrl-C does, as soon as the child has told of an update."""
    if updates:
        raise KeyboardInterrupt


def test_a_script_is_run_as_python_runs_it(project):
    """All that a script can see of how it was started, side by side with what `python SCRIPT` shows it."""
    folder = project / "src"
    folder.mkdir()
    (folder / "train.py").write_text(
        dedent("""\
        \"\"\"Doc.\"\"\"
        import __main__, json, multiprocessing, os, sys
        def twice(x): return 2 * x
        if __name__ == "__main__":
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                doubled = pool.map(twice, [1, 2])
            seen = [__doc__, __file__, str(__spec__), __package__, type(__loader__).__name__,
                    type(__builtins__).__name__, sys.argv, sys.path, sys.stdin.read(), os.getcwd(), doubled,
                    twice.__module__, __main__.twice is twice, twice.__code__.co_filename]
            os.chdir("/")
            print(json.dumps(seen))
        """)
    )
    script = "src/train.py"
    expected = subprocess.run(
        [sys.executable, script, "--epochs", "1"], stdin=subprocess.DEVNULL, capture_output=True, check=True, text=True
    )
    outcome = run(job(project, script=script, arguments=("--epochs", "1")))
    assert json.loads(outcome.output) == json.loads(expected.stdout)
    assert only(outcome) == Record(Ended.FINISHED, has_processes=True)


def test_the_run_ends_with_the_updates_that_were_asked_for(watch):
    outcome = watch("while True: w.step(0.25)", updates=6)
    record = only(outcome)
    assert (record.ended, record.updates, record.bound, record.versions) == (Ended.ENOUGH, 6, (0,), {"toy": "1.0"})
    (seen,) = record.seen
    assert (seen.violated_update, seen.violated_value, seen.highest, seen.last_is_out) == (5, 1.25, 1.5, False)
    assert record.history == {0: ((1, 0.25), (2, 0.5), (3, 0.75), (4, 1.0), (5, 1.25), (6, 1.5))}


def test_a_script_that_ends_by_itself_is_looked_at_a_last_time(watch):
    record = only(watch("w.step(0.5)\nw.value = 7.0"))
    assert record.ended is Ended.FINISHED
    assert record.seen[0].violated_update is None
    assert record.seen[0].last_is_out


@pytest.mark.parametrize(
    ("body", "ended", "error"),
    [
        ("sys.exit()", Ended.FINISHED, None),
        ("sys.exit(0)", Ended.FINISHED, None),
        ("sys.exit(3)", Ended.CRASHED, "sys.exit(3)"),
        ("sys.exit('no GPU')", Ended.CRASHED, "no GPU"),
        ("os._exit(0)", Ended.VANISHED, None),
        ("os.kill(os.getpid(), signal.SIGKILL)", Ended.VANISHED, None),
    ],
)
def test_ends(watch, body, ended, error):
    record = only(watch(f"w.step(0.5)\n{body}"))
    assert (record.ended, record.error) == (ended, error)
    assert record.updates == (0 if ended is Ended.VANISHED else 1)


def test_a_crash_is_told_as_python_tells_it(watch):
    outcome = watch("def train():\n    w.step(2)\n    raise ValueError('diverged')\ntrain()")
    record = only(outcome)
    assert record.ended is Ended.CRASHED
    assert record.seen[0].violated_update == 1
    lines = record.error.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].endswith('train.py", line 7, in <module>')
    assert lines[-1] == "ValueError: diverged"
    assert record.error in outcome.output
    assert outcome.exit_code == 1


def test_a_script_cannot_swallow_the_end(watch):
    body = """\
    try:
        while True:
            try:
                w.step(0.1)
            except:
                print("swallowed")
    finally:
        print("never")
    """
    outcome = watch(body, updates=3)
    assert (only(outcome).ended, only(outcome).updates) == (Ended.ENOUGH, 3)
    assert outcome.output == "swallowed\n"


def test_an_error_while_it_ends_is_no_crash(watch):
    record = only(watch("try:\n    while True: w.step(0.1)\nfinally:\n    undefined", updates=3))
    assert (record.ended, record.error) == (Ended.ENOUGH, None)


def test_enough_in_a_thread_that_the_script_waits_for(watch):
    body = """\
    done = threading.Event()
    def train():
        while True: w.step(0.1)
    threading.Thread(target=train).start()
    done.wait()
    """
    assert only(watch(body, updates=3)).ended is Ended.ENOUGH


def test_threads_belong_to_the_script(watch):
    body = """\
    go = threading.Event()
    def train():
        go.wait()
        w.step(2.0)
    threading.Thread(target=train).start()
    threading.Timer(0, go.set).start()
    """
    record = only(watch(body))
    assert (record.ended, record.updates) == (Ended.FINISHED, 1)
    assert record.seen[0].last_is_out


def test_workers_of_a_pool_end_with_the_script(watch):
    body = """\
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
    threads = ThreadPoolExecutor()
    threads.submit(w.step, 2.0)
    processes = ProcessPoolExecutor(1, multiprocessing.get_context("fork"))
    processes.submit(abs, 1)
    """
    record = only(watch(body))
    assert (record.ended, record.updates) == (Ended.FINISHED, 1)


def test_what_ran_and_what_was_found(watch):
    notes = (NOTED, Note("train.py", 4, 0, False, "undefined"), Note("train.py", 6, 4, False, "w"))
    claims = tuple(Claim(Kind.WEIGHTS, "w", "", "train.py", 3, notes=(note,)) for note in notes)
    record = only(watch("w.step(0.5)\nif len(sys.argv) > 1:\n    w.step(0.5)\n", claims=claims))
    assert (record.reached, record.bound) == ((0, 1), (0,))


def test_processes_that_the_script_starts(watch):
    spawned = "import multiprocessing\nmultiprocessing.get_context('fork').Process(target=abs, args=(1,)).start()"
    assert only(watch(spawned)).has_processes
    assert not only(watch("import multiprocessing")).has_processes


def test_forked_processes_leave_no_record(watch):
    body = """\
    if os.fork() == 0:
        w.step(5.0)
        raise ValueError("in the child")
    os.wait()
    os._exit(0)
    """
    assert only(watch(body)) == Record(Ended.VANISHED)


@pytest.mark.parametrize(
    "body",
    [
        "while True:\n    w.step(0.001)\n    time.sleep(0.001)",
        "w.step(0.5)\ntry:\n    time.sleep(600)\nexcept KeyboardInterrupt:\n    print('saved')",
        "w.step(0.5)\nwhile True:\n    try: time.sleep(600)\n    except KeyboardInterrupt: pass",
        "w.step(0.5)\nthreading.Thread(target=time.sleep, args=(600,)).start()",
    ],
    ids=["trains on", "saves its work", "goes on", "waits for a thread"],
)
def test_interrupted(watch, body):
    record = only(watch(body, told=interrupt_once_updated, updates=0))
    assert record.ended is Ended.INTERRUPTED
    assert record.updates == record.seen[0].looks > 0


def test_interrupted_for_good(watch, project):
    """A script that does not listen is killed, and so is what it started."""
    body = """\
    import subprocess
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    alive = open("alive", "wb")
    code = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(600)"
    subprocess.Popen([sys.executable, "-c", code], pass_fds=[alive.fileno()])
    w.step(0.5)
    time.sleep(600)
    """
    os.mkfifo(project / "alive")
    alive = os.open(project / "alive", os.O_RDONLY | os.O_NONBLOCK)
    record = only(watch(body, told=interrupt_once_updated))
    assert (record.ended, record.seen) == (Ended.INTERRUPTED, ())
    # The end of the file, once nobody is left who has it open for writing.
    assert select.select([alive], [], [], 60)[0] == [alive]
    os.close(alive)


def test_the_time_is_over(watch):
    assert only(watch("w.step(0.5)\nwhile True: pass", timeout=0.5)).ended is Ended.TIMED_OUT


def test_exit_handlers_that_hang_lose_nothing(watch):
    outcome = watch("import atexit\natexit.register(time.sleep, 600)\nw.step(0.5)")
    assert (only(outcome).ended, only(outcome).updates) == (Ended.FINISHED, 1)


def test_notes_leave_lines_and_source_as_they_are(watch, project):
    (project / "parts.py").write_text("class Part:\n    def __init__(self, w):\n        self.__w = w\n        1 / 0\n")
    body = """\
    import inspect, traceback
    from parts import Part
    def f(v):
        return v
    print(inspect.getsource(f))
    try: Part(w)
    except ZeroDivisionError: print(traceback.format_exc())
    w.step(0.5)
    """
    notes = (
        Note("train.py", 7, 4, False, "v", low="-v.value", high="v.value + 3"),  # never reached
        Note("parts.py", 3, 8, True, "self.__w", low="-2 * 2", high="unknown and 1"),  # fails, unseen
        Note("parts.py", 3, 8, True, "self.__w", low="-2 * 2", high="2 * 2"),
        Note("parts.py", 3, 8, True, "self.__w +", low="-2 * 2", high="2 * 2"),  # no Python
    )
    head = '"""Doc."""\nfrom __future__ import annotations\n' + HEAD.replace("import os,", "import os,", 1)
    outcome = watch(body, notes=notes, head=head)
    record = only(outcome)
    assert record.ended is Ended.FINISHED, record.error
    assert "def f(v):\n    return v\n" in outcome.output
    assert 'parts.py", line 4, in __init__' in outcome.output
    assert (record.seen[0].low, record.seen[0].high) == (-4.0, 4.0)
    assert not (project / "__pycache__").joinpath(f"parts.{sys.implementation.cache_tag}.pyc").exists()


def test_other_code_in_the_place_of_the_file(watch):
    code = (
        HEAD + "import inspect\ndef f(): w.step(0.25)\nf()\nprint(inspect.getsource(f), __file__)\nraise ValueError\n"
    )
    outcome = watch("raise OSError('the file itself')", code=code)
    record = only(outcome)
    assert record.updates == 1
    assert "def f(): w.step(0.25)\n" in outcome.output
    assert "    raise ValueError\n" in record.error


def test_errors_of_the_watcher_are_not_the_scripts(watch):
    outcome = watch("w.step(0.5)\nprint('done')", notes=(NOTED, Note("train.py", 4, 0, False, "'a bug'")))
    record = only(outcome)
    assert (record.ended, outcome.output) == (Ended.FINISHED, "done\n")
    assert len(record.problems) == 1
    assert record.problems[0].endswith("ZeroDivisionError: in the watcher")


def test_a_record_that_is_not_whole_is_a_problem(watch):
    [record] = watch("open('job/record.0', 'w').write('{'); os._exit(0)").records
    assert record.ended is Ended.VANISHED
    assert "record.0 cannot be read" in record.problems[0]


def test_output_is_kept_to_the_last_line(watch):
    assert watch("print('a'); sys.stderr.write('b'); print('c'); os._exit(0)").output == "a\nbc\n"


def test_progress_is_told(watch, project):
    told: list[int] = []

    def tell(updates: int) -> None:
        told.append(updates)
        if updates > 1:
            (project / "told").touch()

    watch("while not os.path.exists('told'):\n    w.step(0.001)\n    time.sleep(0.01)", told=tell, updates=0)
    assert told == sorted(told)
    assert told[-1] > 1
