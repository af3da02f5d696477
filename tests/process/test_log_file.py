"""Whatever becomes of the disk, the pipe or its reader: the access log has whole lines only."""

import contextlib
import errno
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.telemetry import log_file
from proxy.telemetry.access_log import BUFFER_BYTES, AccessLog
from proxy.telemetry.log_file import LogFile
from tests.support.waiting import until

WRITER = """
import json, resource, sys
from proxy.telemetry.log_file import LogFile
target, name, count, size, limit = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
file = LogFile(target)
for number in range(count):
    line = json.dumps({"by": name, "number": number, "text": "x" * size}).encode() + b"\\n"
    file.write(bytearray(line * 3), 3 * len(line), 3)
print(file.lost)
"""


def lines(count: int, size: int = 100) -> bytearray:
    return bytearray(
        b"".join(json.dumps({"n": n, "text": "x" * size}).encode() + b"\n" for n in range(count))
    )


def whole(path: Path) -> list[dict[str, object]]:
    data = path.read_bytes()
    assert not data or data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


def writer(target: str, name: str, count: int, size: int, limit: int = 0) -> "subprocess.Popen[str]":
    """Start a process that writes `count` times three lines, and prints how many were lost."""
    words = (target, name, str(count), str(size), str(limit))
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, *words],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


class Disk:
    """Stands in for os.write: takes `room` bytes, then fails."""

    def __init__(self, room: int, code: int) -> None:
        self.room, self.code = room, code
        self._write = os.write

    def __call__(self, fd: int, data: bytes) -> int:
        if not self.room:
            raise OSError(self.code, os.strerror(self.code))
        written = self._write(fd, bytes(data[: self.room]))
        self.room -= written
        return written


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EFBIG, errno.EIO, errno.EDQUOT])
def test_a_line_that_was_written_in_part_is_cut_away(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(log_file, "QUIET_S", 0.0)
    path, data = tmp_path / "log", lines(10)
    file = LogFile(str(path))
    file.write(data, len(data), 10)
    monkeypatch.setattr(os, "write", Disk(350, code))
    for _ in range(3):
        file.write(data, len(data), 10)
    assert len(whole(path)) == 10 + 2
    assert file.lost == 8 + 10 + 10
    monkeypatch.undo()
    monkeypatch.setattr(log_file, "QUIET_S", 0.0)
    file.write(data, len(data), 10)
    assert [line["n"] for line in whole(path)] == [*range(10), 0, 1, *range(10)]
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        f"access log {path}: {os.strerror(code)}; lines are lost until it can be written",
        f"access log {path}: is written again, 28 lines were lost",
    ]
    file.close()


def test_a_line_that_cannot_be_cut_away_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "a file that may only be appended to")

    path, data = tmp_path / "log", lines(10)
    file = LogFile(str(path))
    disk = Disk(350, errno.ENOSPC)
    monkeypatch.setattr(os, "ftruncate", refuse)
    monkeypatch.setattr(os, "write", disk)
    file.write(data, len(data), 10)
    disk.room = 5  # not even the rest of the line
    file.write(data, len(data), 10)
    disk.room = 1_000_000
    file.write(data, len(data), 10)
    assert [line["n"] for line in whole(path)] == [0, 1, 2, *range(10)]
    assert file.lost == 7 + 10
    file.close()


def test_a_file_system_that_is_gone_does_not_end_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    path, data = tmp_path / "log", lines(10)
    file = LogFile(str(path))
    with monkeypatch.context() as gone:
        gone.setattr(os, "write", refuse)
        gone.setattr(os, "fstat", refuse)
        file.write(data, len(data), 10)
    assert file.lost == 10
    file.write(data, len(data), 10)
    assert len(whole(path)) == 10
    file.close()


def test_workers_that_fill_a_disk_together_tear_no_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    writers = [writer(str(path), str(number), 400, 500, 200_000) for number in range(3)]
    lost = sum(int(each.communicate(timeout=60)[0]) for each in writers)
    assert 0 < lost < 3600
    assert len(whole(path)) + lost == 3600


@pytest.mark.skipif(os.getuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_tears_no_line_and_room_is_used_again(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting is not permitted here")
    try:
        path, ballast = disk / "log", disk / "ballast"
        ballast.write_bytes(b"." * 40_000)
        writers = [writer(str(path), str(number), 100, 500) for number in range(3)]
        lost = sum(int(each.communicate(timeout=60)[0]) for each in writers)
        assert lost > 0
        assert len(whole(path)) + lost == 900
        ballast.unlink()
        before = len(whole(path))
        again = writer(str(path), "again", 1, 500)
        assert int(again.communicate(timeout=60)[0]) == 0
        assert len(whole(path)) == before + 3
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_long_lines_of_several_workers_stay_whole_in_a_pipe_that_is_read_slowly(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    held_open = os.open(path, os.O_WRONLY)
    os.set_blocking(reader, True)
    writers = [writer(str(path), str(number), 40, 9000) for number in range(3)]
    seen = bytearray()
    while seen.count(b"\n") < 360:
        seen += os.read(reader, 7000)
        time.sleep(0.002)
    os.close(held_open)
    os.close(reader)
    assert [int(each.communicate(timeout=60)[0]) for each in writers] == [0, 0, 0]
    assert len([json.loads(line) for line in seen.splitlines()]) == 360


def test_a_reader_that_is_gone_costs_lines_and_its_successor_gets_whole_ones(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, data = tmp_path / "pipe", lines(10)
    os.mkfifo(path)
    file = LogFile(str(path))  # nobody reads yet: that must not be waited for
    file.write(data, len(data), 10)
    assert file.lost == 10
    first = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    until_written(file, data)
    assert os.read(first, 1 << 16) == data
    os.close(first)
    lost = file.lost
    file.write(data, len(data), 10)
    assert file.lost == lost + 10
    second = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    file.write(data, len(data), 10)
    assert [json.loads(line)["n"] for line in os.read(second, 1 << 16).splitlines()] == [*range(10)]
    assert len([record for record in caplog.records if "lines are lost" in record.getMessage()]) == 1
    os.close(second)
    file.close()


def until_written(file: LogFile, data: bytearray) -> None:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        lost = file.lost
        file.write(data, len(data), 10)
        if file.lost == lost:
            return
        time.sleep(0.05)
    raise AssertionError("the pipe was not written to again")


def test_a_directory_that_comes_later_ends_the_loss(tmp_path: Path) -> None:
    path, data = tmp_path / "later" / "log", lines(10)
    file = LogFile(str(path))
    file.write(data, len(data), 10)
    path.parent.mkdir()
    until_written(file, data)
    assert len(whole(path)) == 10
    file.close()


@contextlib.contextmanager
def access_log(path: Path) -> Iterator[AccessLog]:
    log = AccessLog(str(path))
    try:
        yield log
    finally:
        log.close()


def note(log: AccessLog, number: int) -> None:
    log.request(
        client=b'"client":""',
        status=200,
        flag="-",
        snapshot=1,
        resource=b'"method":"GET"',
        headers=b'"host":""',
        request_id=str(number).encode(),
        route=b'"route":""',
        endpoint=b'"service":""',
        duration_us=10,
        attempts=1,
    )


async def test_a_reopened_log_goes_on_in_the_new_file_without_a_lost_line(tmp_path: Path) -> None:
    path, moved = tmp_path / "log", tmp_path / "log.1"
    with access_log(path) as log:
        for number in range(1000):
            note(log, number)
            if number == 500:
                path.rename(moved)
                log.reopen()
                log.reopen()
    assert [line["request_id"] for line in whole(moved)] == [str(number) for number in range(501)]
    assert [line["request_id"] for line in whole(path)] == [str(number) for number in range(501, 1000)]
    log.reopen()  # a signal that comes when all is over


async def test_a_log_that_cannot_be_reopened_goes_on_in_the_old_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory, moved = tmp_path / "logs", tmp_path / "moved"
    directory.mkdir()
    with access_log(directory / "log") as log:
        note(log, 1)
        directory.rename(moved)
        log.reopen()
        note(log, 2)
    assert [line["request_id"] for line in whole(moved / "log")] == ["1", "2"]
    assert "cannot be reopened" in caplog.text
    assert log.dropped == 0


async def test_a_reader_that_is_too_slow_costs_lines_and_no_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    log, noted = AccessLog(str(path)), 0
    started = time.monotonic()
    while not log.dropped:
        note(log, noted)
        noted += 1
        assert noted < 200_000
    assert time.monotonic() - started < 20
    assert [r.levelno for r in caplog.records if "slower than the traffic" in r.getMessage()] == [
        logging.ERROR
    ]
    seen = bytearray()

    def read() -> None:
        os.set_blocking(reader, True)
        while piece := os.read(reader, BUFFER_BYTES):
            seen.extend(piece)

    thread = threading.Thread(target=read)
    thread.start()
    log.flush()
    await until(lambda: seen.count(b"\n") + log.dropped >= noted)
    log.close()
    thread.join(timeout=10)
    os.close(reader)
    assert len([json.loads(line) for line in seen.splitlines()]) + log.dropped == noted
