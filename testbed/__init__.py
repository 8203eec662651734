"""A real site on one machine: SSH servers, a Slurm cluster with the Torque commands, object stores, mirrors.

The tests and the demo use it; it is not part of the installed package. Every part is a context manager
that needs no privileges (as root it also makes temporary accounts), listens on 127.0.0.1 only and leaves
neither process nor file nor account behind, however the program that started it ends.
"""
