"""The record of a run, and RO-Crates made of it and read again. Knows no database, no store and no target."""
