"""Standard error that is read slowly, or by nobody, stops no event loop."""

import contextlib
import logging
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy import stderr
from proxy.stderr import StderrHandler
from tests.support.waiting import until


@contextlib.contextmanager
def logger(fd: int) -> Iterator[logging.Logger]:
    handler = StderrHandler(fd)
    log = logging.Logger("test")
    log.addHandler(handler)
    try:
        yield log
    finally:
        handler.close()


@pytest.mark.parametrize("blocking", [True, False])
async def test_a_reader_that_sleeps_costs_lines_and_no_time(
    blocking: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stderr, "WAITING_LINES", 100)
    reader, writer = os.pipe()
    os.set_blocking(writer, blocking)
    with logger(writer) as log:
        started = time.monotonic()
        for number in range(5000):
            log.info("%d %s", number, "." * 100)
        assert time.monotonic() - started < 5
        seen = bytearray()
        os.set_blocking(reader, False)

        def has_recovered() -> bool:
            with contextlib.suppress(BlockingIOError):
                seen.extend(os.read(reader, 1 << 20))
            log.info("again")
            return b"log lines were lost" in seen

        await until(has_recovered)
        assert all(line.endswith((b".", b"slowly", b"again")) for line in seen.splitlines()[:-1])
    os.close(reader)
    os.close(writer)


def test_a_reader_that_is_gone_ends_nothing() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with logger(writer) as log:
        for _ in range(100):
            log.info("nobody reads this")
    os.close(writer)


def test_a_reader_that_never_reads_does_not_hold_up_the_end() -> None:
    reader, writer = os.pipe()
    started = time.monotonic()
    with logger(writer) as log:
        for _ in range(2000):
            log.info("." * 100)
    assert time.monotonic() - started < 5
    os.close(reader)  # lets the thread go
    os.close(writer)


def test_a_line_that_a_full_disk_tore_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "log"
    pid = os.fork()
    if not pid:
        resource.setrlimit(resource.RLIMIT_FSIZE, (250, resource.RLIM_INFINITY))
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        handler = StderrHandler(fd)
        log = logging.Logger("test")
        log.addHandler(handler)
        for number in range(5):
            log.info("%d%s", number, "." * 99)
        while not handler._lines.empty():
            time.sleep(0.01)
        time.sleep(0.1)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        log.info("whole")
        handler.close()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert path.read_text().splitlines()[-1] == "whole"
