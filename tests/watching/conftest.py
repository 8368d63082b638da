"""Real situations, and the watch that has to see them."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from loopbackd.watching.looks import Looks
from loopbackd.watching.rules import Rules
from loopbackd.watchsettings import WatchSettings


@pytest.fixture
def spawn(stack):
    """Start a program that lives to the end of the test; what it prints is read from its stdout."""

    def spawn(*words, **others):
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            **others,
        )
        stack.callback(process.wait, 10)
        stack.callback(process.kill)
        stack.callback(process.stdout.close)
        stack.callback(process.stdin.close)
        return process

    return spawn


class Looking:
    """
    Looks at this machine again and again.

    @ivar told: all that was told so far.
    """

    def __init__(self, looks):
        self.looks = looks
        self.told = []

    def look(self):
        """Look once; what is told of it."""
        found = list(self.looks.look(time.monotonic() + 1e9).events)
        self.told += found
        return found

    def until(self, kind, port=None, seconds=60):
        """The event of that kind, and about that port, once it is told."""
        deadline = time.monotonic() + seconds
        while True:
            for event in self.told:
                if event.kind == kind and (port is None or event.port == port):
                    return event
            assert time.monotonic() < deadline, [(one.kind, one.says) for one in self.told]
            self.look()
            os.sched_yield()

    def connections(self, port):
        """How many are open at a port, as one more look has it."""
        self.look()
        return self.looks.watch.connections.counts[port]

    def kindsAt(self, port):
        """What was told of a port."""
        return [event.kind for event in self.told if event.port == port]


@pytest.fixture
def looking(stack):
    """A watch of this machine that has looked once, so that what comes is new."""

    def looking(**settings):
        asked = WatchSettings(**settings)
        # Looking costs nothing, so that it may be done again at once.
        looks = Looks(asked, Rules(asked), os.environ, spent=lambda: 0.0)
        stack.callback(looks.close)
        found = Looking(looks)
        found.look()
        return found

    return looking
