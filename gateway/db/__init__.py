"""Tables, the connection to the database, and repositories. The only place with SQL."""
