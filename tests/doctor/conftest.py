"""The sockets and processes of these tests; see L{peering}."""

from peering import (
    asUser as asUser,
)
from peering import (
    connect as connect,
)
from peering import (
    diag as diag,
)
from peering import (
    listen as listen,
)
from peering import (
    spawn as spawn,
)
from peering import (
    spawnAs as spawnAs,
)
from peering import (
    stack as stack,
)
from peering import (
    until as until,
)
