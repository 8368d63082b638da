"""Who is at the other end: socket diagnostics, credentials and C{/proc}."""
