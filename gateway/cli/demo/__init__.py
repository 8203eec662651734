"""The demo: the cavity job, end to end, on this machine.

``python -m gateway.cli.demo [--target local|pbs|slurm]``. The clusters come from the test bed of a checkout.
"""
