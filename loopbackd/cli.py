"""The ``loopbackd`` command."""


def main() -> None:
    """Run the command."""
