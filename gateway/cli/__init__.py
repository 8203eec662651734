"""The command ``gateway``: the client for a shell, and what sets a gateway up."""
