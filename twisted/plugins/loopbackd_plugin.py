"""Tell ``twistd`` and ``twist`` that there is a ``loopbackd`` to run."""

from twisted.application.service import ServiceMaker

loopbackd = ServiceMaker(
    "loopbackd",
    "loopbackd.tap",
    "The other end of every local connection: one address answers every protocol.",
    "loopbackd",
)
