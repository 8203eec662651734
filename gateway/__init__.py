"""Science Gateway: launch containerised simulations on clusters and see every output, truthfully."""

__version__ = "0.1.0"
