"""Where outputs end. Knows no database."""
