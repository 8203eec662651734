"""Where jobs run: transports, schedulers, runtimes, the batch script, targets. Knows no database."""
