"""What people can ask. Writes intents into the database; never calls the engine."""
