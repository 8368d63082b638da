"""Why a connection on this machine would or would not work: facts, and what they mean."""
