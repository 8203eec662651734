"""Container runtimes: each brings a bash library with its functions."""
