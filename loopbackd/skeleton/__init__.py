"""The files that ``loopbackd new`` fills in."""
