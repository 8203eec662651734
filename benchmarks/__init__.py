"""How much the gateway costs, next to the least that the same work could cost. Run ``python -m benchmarks``."""
