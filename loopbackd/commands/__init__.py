"""Subcommands of ``loopbackd`` that ask a running daemon."""
