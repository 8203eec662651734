"""Acts on intents and evidence: submits, polls, finalises, rescues. All it knows stands in the database."""
