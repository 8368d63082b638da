"""
The batch reactor: one event of the real reactor serves every connection that is ready.

Twisted's reactor pays for each event separately: a log context, two calls, a look at the clock and
at the timers.  Here the descriptors sit in an epoll set of their own (epoll(7): an epoll descriptor
is itself pollable), which the real reactor sees as a single readable descriptor.
"""

from __future__ import annotations

import errno
import select
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet import error, main
from twisted.internet.interfaces import IHalfCloseableDescriptor, IReactorFDSet
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from loopbackd.net.reactor import PlainReactor

_log = Logger()
_DONE = Failure(main.CONNECTION_DONE)
_LOST = Failure(main.CONNECTION_LOST)

_IN = 1  # select.EPOLLIN, select.EPOLLOUT and so on; not everywhere does select have them
_OUT = 4
_ERROR = 8
_HANGUP = 8 | 16
# Nothing that sockets ever report: a descriptor with this alone is watched for errors, which
# epoll_ctl(2) reports without being asked.
_RESET = 0x400

# So many events are served in one batch, and batches for so many seconds, before the real reactor's
# timers and other descriptors get their turn.
_MOST_EVENTS = 256
_LONGEST = 0.002


@implementer(IReactorFDSet)
class BatchReactor(PlainReactor):
    """
    A real reactor whose streams are eager and served in batches.

    @ivar servesMany: whether the batch that is being served has more than one event.
    @raise OSError: the system gives no epoll descriptor.
    """

    def __init__(self, reactor: Any) -> None:
        super().__init__(reactor)
        self._epoll = select.epoll()
        self.fileno = self._epoll.fileno
        self._selectables: dict[int, Any] = {}
        self._wanted: dict[int, int] = {}
        # What the kernel knows of those of whom it does not know what is wanted.
        self._unsettled: dict[int, int] = {}
        self._later: list[Callable[[], object]] = []
        self._inBatch = False
        self.servesMany = False
        self._unpollable: dict[Any, int] = {}
        self._listed = False

    # Interest.  What is added during a batch is told to the kernel at its end, so a connection
    # that is answered and closed at once never costs an epoll_ctl(2).

    def addReader(self, reader: Any) -> None:
        """See L{IReactorFDSet.addReader}."""
        self._want(reader, _IN)

    def addWriter(self, writer: Any) -> None:
        """See L{IReactorFDSet.addWriter}."""
        self._want(writer, _OUT)

    def removeReader(self, reader: Any) -> None:
        """See L{IReactorFDSet.removeReader}."""
        self._unwant(reader, _IN | _RESET)

    def removeWriter(self, writer: Any) -> None:
        """See L{IReactorFDSet.removeWriter}."""
        self._unwant(writer, _OUT)

    def rest(self, reader: Any) -> None:
        """
        Watch it no more for something to read, but still for a reset.

        Whoever is paused would else keep its descriptor for as long as it is.
        """
        self._want(reader, _RESET)
        self._unwant(reader, _IN)

    def _want(self, selectable: Any, flag: int) -> None:
        fd = selectable.fileno()
        if self._selectables.get(fd) is not selectable:
            if selectable in self._unpollable:
                self._addUnpollable(selectable, flag)
                return
            # New, or the number of a descriptor that was closed without being removed.
            self._selectables[fd] = selectable
            self._wanted[fd] = 0
            self._unsettled[fd] = 0
        wanted = self._wanted[fd]
        if wanted & flag:
            return
        self._unsettled.setdefault(fd, wanted)
        self._wanted[fd] = wanted | flag
        if self._inBatch:
            return
        try:
            self._settle(fd)
        except OSError:
            self._forget(fd)
            raise

    def _unwant(self, selectable: Any, flag: int) -> None:
        fd = selectable.fileno()
        if fd < 0:
            fd = self._formerNumber(selectable)
        if self._selectables.get(fd) is not selectable:
            if self._unpollable:
                self._removeUnpollable(selectable, flag & ~_RESET)
            return
        before = self._wanted[fd]
        wanted = before & ~flag
        if wanted == before:
            return
        self._unsettled.setdefault(fd, before)
        self._wanted[fd] = wanted
        if not (wanted and self._inBatch):
            self._settle(fd)

    def _formerNumber(self, selectable: Any) -> int:
        """The number a selectable had before it was closed behind our back, or -1."""
        return next((fd for fd, one in self._selectables.items() if one is selectable), -1)

    def _settle(self, fd: int) -> None:
        """Tell the kernel what is wanted of a descriptor."""
        wanted = self._wanted[fd]
        if not wanted:
            self._forget(fd)
            return
        known = self._unsettled.pop(fd, wanted)
        if not known:
            self._register(fd, wanted)
        elif wanted != known:
            self._epoll.modify(fd, wanted)

    def _register(self, fd: int, wanted: int) -> None:
        try:
            self._epoll.register(fd, wanted)
        except PermissionError:
            # A plain file: epoll(7) cannot watch it; the real reactor knows what to do.
            self._unsettled[fd] = 0
            self._addUnpollable(self._selectables[fd], wanted)
            self._forget(fd)
            return
        except BaseException:
            self._unsettled[fd] = 0
            raise
        if not self._listed:
            self._listed = True
            self._reactor.addReader(self)

    def _forget(self, fd: int) -> None:
        wanted = self._wanted.pop(fd)
        del self._selectables[fd]
        if self._unsettled.pop(fd, wanted):
            try:
                self._epoll.unregister(fd)
            except OSError as problem:
                # A descriptor that was closed first has left the set by itself.
                if problem.errno not in (errno.EBADF, errno.ENOENT):
                    raise
        if not self._selectables and self._listed:
            self._listed = False
            self._reactor.removeReader(self)

    def _addUnpollable(self, selectable: Any, wanted: int) -> None:
        self._unpollable[selectable] = self._unpollable.get(selectable, 0) | wanted
        if wanted & _IN:
            self._reactor.addReader(selectable)
        if wanted & _OUT:
            self._reactor.addWriter(selectable)

    def _removeUnpollable(self, selectable: Any, flag: int) -> None:
        if selectable in self._unpollable:
            self._unpollable[selectable] &= ~flag
            if not self._unpollable[selectable]:
                del self._unpollable[selectable]
            (self._reactor.removeReader if flag == _IN else self._reactor.removeWriter)(selectable)

    def getReaders(self) -> list[Any]:
        """See L{IReactorFDSet.getReaders}."""
        return [self._selectables[fd] for fd, flags in self._wanted.items() if flags & _IN]

    def getWriters(self) -> list[Any]:
        """See L{IReactorFDSet.getWriters}."""
        return [self._selectables[fd] for fd, flags in self._wanted.items() if flags & _OUT]

    def removeAll(self) -> list[Any]:
        """See L{IReactorFDSet.removeAll}."""
        removed = list(self._selectables.values())
        for fd in list(self._selectables):
            self._forget(fd)
        return removed

    # Being a descriptor of the real reactor.

    def doRead(self) -> None:
        """Serve every descriptor that is ready (called by the real reactor)."""
        poll, seconds = self._epoll.poll, self._reactor.seconds
        began = seconds()
        while events := poll(0, _MOST_EVENTS):
            self._serve(events)
            # A clock that is set back must not keep us here either; and what was served may have
            # been the last, after which we were closed.
            if not 0 <= seconds() - began < _LONGEST or self._epoll.closed:
                return

    def _serve(self, events: list[tuple[int, int]]) -> None:
        self._inBatch = True
        self.servesMany = len(events) > 1
        selectables, wanted = self._selectables, self._wanted
        unsettled = self._unsettled
        for fd, event in events:
            # Not there: closed earlier in this batch.  The kernel knows nothing of it: so was the
            # descriptor this event is about, and its number is in use again.
            if fd not in selectables or (unsettled and unsettled.get(fd) == 0):
                continue
            selectable = selectables[fd]
            reading = True
            try:
                if event == _IN:
                    # It may have been paused in this batch.
                    why = selectable.doRead() if wanted[fd] & _IN else None
                else:
                    why, reading = self._serveOther(fd, event, selectable)
            except BaseException as problem:
                _log.failure("{selectable} failed; it is closed.", selectable=selectable)
                why = problem
            if why:
                self._disconnect(selectable, why, reading)
        self._inBatch = self.servesMany = False
        while self._later:
            later, self._later = self._later, []
            for call in later:
                self._run(call)
        while unsettled:
            fd = next(iter(unsettled))
            try:
                self._settle(fd)
            except (OSError, ValueError):
                _log.failure("Descriptor {fd} cannot be watched.", fd=fd)
                self._forget(fd)

    def _serveOther(self, fd: int, event: int, selectable: Any) -> tuple[Any, bool]:
        """Serve an event that is not plainly that there is something to read."""
        wanted = self._wanted[fd]
        reading = bool(event & wanted & _IN)
        if reading:
            why = selectable.doRead()
        elif wanted == _RESET and not event & _ERROR:
            # Both sides have finished sending, but not everything was read.
            self._unwant(selectable, _RESET)
            why = None
        elif wanted & _IN and not self._unsettled.get(fd, wanted) & _IN:
            # Read again since this batch: the kernel was not asked whether there is anything.
            why = None
        elif event & _HANGUP:
            reading = bool(wanted & _IN)
            why = main.CONNECTION_DONE if reading else main.CONNECTION_LOST
        else:
            why = None
        if event & _OUT and not why and self._isServed(fd, selectable):
            reading = False
            why = selectable.doWrite()
        return why, reading

    def _isServed(self, fd: int, selectable: Any) -> bool:
        return self._selectables.get(fd) is selectable

    def _run(self, call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException:
            # As in Twisted's reactors: not even a SystemExit ends more than what raised it.
            _log.failure("{call} failed.", call=call)

    def _disconnect(self, selectable: Any, why: BaseException, reading: bool) -> None:
        """The end of a descriptor, as Twisted's reactors tell it, half-close included."""
        try:
            self.removeReader(selectable)
            if (
                reading
                and isinstance(why, error.ConnectionDone)
                and IHalfCloseableDescriptor.providedBy(selectable)
            ):
                selectable.readConnectionLost(_DONE)
                return
            self.removeWriter(selectable)
            if isinstance(why, error.ConnectionDone):
                selectable.connectionLost(_DONE)
            elif isinstance(why, error.ConnectionLost):
                selectable.connectionLost(_LOST)
            else:
                selectable.connectionLost(Failure(why))
        except BaseException:
            _log.failure("{selectable} failed while it was closed.", selectable=selectable)

    def isReading(self, selectable: Any) -> bool:
        """See L{PlainReactor.isReading}."""
        fd = selectable.fileno()
        return self._isServed(fd, selectable) and bool(self._wanted[fd] & _IN)

    def soon(self, call: Callable[[], object]) -> None:
        """Call after what runs now has returned, before anything is waited for."""
        if self._inBatch:
            self._later.append(call)
        else:
            self._reactor.callLater(0, call)

    def connectionLost(self, reason: Failure) -> None:
        """The real reactor is being emptied, as at its shutdown: so are we."""
        for selectable in self.removeAll():
            self._run(partial(selectable.connectionLost, reason))

    def logPrefix(self) -> str:
        """What the real reactor names us in its log."""
        return "batch"

    def close(self) -> None:
        """Give back the epoll descriptor, and the pipes."""
        super().close()
        self.removeAll()
        self._epoll.close()


def batchIfPossible(reactor: Any) -> tuple[PlainReactor, str | None]:
    """
    The best reactor this system offers for streams.

    @return: the reactor, and what is missing if it is only a L{PlainReactor}.
    """
    if not hasattr(select, "epoll"):
        return PlainReactor(reactor), "epoll(7) is missing on this system"
    if not IReactorFDSet.providedBy(reactor):
        return PlainReactor(reactor), f"{type(reactor).__name__} cannot watch descriptors"
    try:
        return BatchReactor(reactor), None
    except OSError as problem:
        return PlainReactor(reactor), f"epoll_create1(2): {problem.strerror}"
