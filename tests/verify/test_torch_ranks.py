"""Training on several processes: each rank judges what it has, and one verdict comes out."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from clipcheck.verify.child.run import Run
from clipcheck.verify.claim import Claim, Kind, Note, Since
from clipcheck.verify.folder import JOB, all_of
from clipcheck.verify.job import Job
from clipcheck.verify.record import Ended
from clipcheck.verify.run import run
from clipcheck.verify.verdict import Ruling, judge
from clipcheck.verify.wire import dumps, record_from

pytestmark = pytest.mark.frameworks

NAMES = ["0.weight", "0.bias", "2.weight", "2.bias"]
SCRIPT = dedent("""\
    import sys
    import torch
    import torch.distributed as dist
    from torch import nn
    from torch.distributed.fsdp import fully_shard
    from torch.nn.parallel import DistributedDataParallel

    dist.init_process_group("gloo")
    rank = dist.get_rank()


    def critic():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1))


    def sharded(model):
        for layer in model:
            fully_shard(layer)
        return fully_shard(model)


    def train(model, is_clipped):
        optimizer = torch.optim.SGD(model.parameters(), lr=2.0)
        for _ in range(3):
            optimizer.zero_grad()
            (model(torch.full((2, 4), 1.0 + rank)) - 1).square().mean().backward()
            optimizer.step()
            if is_clipped:
                with torch.no_grad():
                    for parameter in model.parameters():
                        parameter.clamp_(-0.05, 0.05)


    replicas = DistributedDataParallel(critic())
    loose_replicas = DistributedDataParallel(critic())
    shards = sharded(critic())
    loose_shards = sharded(critic())
    one_shard = sharded(critic())
    train(replicas, True)
    train(loose_replicas, False)
    train(shards, True)
    train(loose_shards, False)
    with torch.no_grad():
        for parameter in one_shard.parameters():
            parameter.mul_(0)
    optimizer = torch.optim.SGD(one_shard.parameters(), lr=0.0)
    one_shard(torch.ones(2, 4)).mean().backward()
    optimizer.step()
    if rank == 1:
        with torch.no_grad():
            one_shard[0].weight.to_local().fill_(1.0)
    dist.destroy_process_group()
    """)


def claims(path: Path) -> tuple[Claim, ...]:
    """What `--watch` would make of the five models."""
    lines = SCRIPT.splitlines()
    found = []
    for name in ("replicas", "loose_replicas", "shards", "loose_shards", "one_shard"):
        line = next(number for number, text in enumerate(lines, 1) if text.startswith(f"{name} = "))
        note = Note(str(path), line, 0, True, name)
        found.append(Claim(Kind.WEIGHTS, name, "", str(path), line, Since.USE, -0.05, 0.05, notes=(note,)))
    return tuple(found)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    script = folder / "train.py"
    script.write_text(SCRIPT)
    (folder / "job").mkdir()
    job = Job(str(script), (), claims(script), str(folder / "job"), updates=0)
    return job, run(job, nproc=2, timeout=120)


def seen_of(outcome, subject: str, rank: int):
    job, result = outcome
    number = [claim.subject for claim in job.claims].index(subject)
    (record,) = (record for record in result.records if record.rank == rank)
    return {seen.name.removeprefix(f"{subject}."): seen for seen in record.seen if seen.claim == number}


def test_each_rank_leaves_a_record(outcome):
    _, result = outcome
    assert [(record.rank, record.ended, record.problems) for record in result.records] == [
        (0, Ended.FINISHED, ()),
        (1, Ended.FINISHED, ()),
    ], result.output
    assert {seen.rank for record in result.records for seen in record.seen if record.rank == 1} == {1}


def test_ranks_do_not_write_into_the_same_file(tmp_path, monkeypatch):
    """Not even while their records are unfinished: they come to their end at the same time."""
    (tmp_path / JOB).write_text(dumps(Job("train.py", (), (), str(tmp_path))))
    written: list[Path] = []
    write = Path.write_text

    def noted(path, *arguments, **keywords):
        written.append(path)
        return write(path, *arguments, **keywords)

    monkeypatch.setattr(Path, "write_text", noted)
    monkeypatch.setattr("signal.signal", lambda number, handler: None)  # Those of the tests are to stay.
    for rank in "0", "1":
        monkeypatch.setenv("RANK", rank)
        Run(tmp_path)._record(Ended.INTERRUPTED)
    assert len(written) == len(set(written)) == 2
    assert {record_from(path.read_text()).rank for path in all_of(tmp_path, "record")} == {0, 1}


def test_one_verdict_comes_out(outcome):
    verdict = judge(*outcome)
    assert verdict.ruling is Ruling.VIOLATED
    rulings = {judged.claim.subject: judged.ruling for judged in verdict.claims}
    assert rulings == {
        "replicas": Ruling.HELD,
        "loose_replicas": Ruling.VIOLATED,
        "shards": Ruling.HELD,
        "loose_shards": Ruling.VIOLATED,
        "one_shard": Ruling.VIOLATED,
    }


@pytest.mark.parametrize("subject", ["replicas", "loose_replicas"])
def test_replicas_are_judged_on_every_rank(outcome, subject):
    for rank in 0, 1:
        seen = seen_of(outcome, subject, rank)
        assert list(seen) == NAMES
        assert {(one.updates, one.looks) for one in seen.values()} == {(3, 3)}
        assert {one.violated_update for one in seen.values()} == {1 if subject == "loose_replicas" else None}


@pytest.mark.parametrize("subject", ["shards", "loose_shards"])
def test_shards_are_judged_where_they_are(outcome, subject):
    """Of three rows and of one, rank 1 has the last of three, and nothing of one."""
    shapes = [(3, 4), (3,), (1, 3), (1,)]
    for rank, here in (0, set(NAMES)), (1, {"0.weight", "0.bias"}):
        seen = seen_of(outcome, subject, rank)
        assert [one.shape for one in seen.values()] == shapes
        assert {name for name, one in seen.items() if one.looks} == here
        assert {seen[name].violated_update for name in here} == {1 if subject == "loose_shards" else None}


def test_what_one_rank_alone_has_wrong_is_found(outcome):
    assert seen_of(outcome, "one_shard", 0)["0.weight"].violated_update is None
    assert seen_of(outcome, "one_shard", 1)["0.weight"].violated_value == 1.0
