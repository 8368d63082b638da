"""The subcommands of ``loopbackd``: those that ask a running daemon, and those that need none."""
