"""The demo: a job, end to end, on this machine.

``python -m gateway.cli.demo [--target local|pbs|slurm] [--case cavity|openfoam|stirred-tank]``. The clusters come from
the test bed of a checkout.
"""
