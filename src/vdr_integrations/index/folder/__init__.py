"""An index in a folder: SQLite says what is in it, files beside it hold the vectors."""
