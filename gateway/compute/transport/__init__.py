"""Ways to run commands on a target."""
