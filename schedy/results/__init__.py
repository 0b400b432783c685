"""Results as people read them, for the library and the command line: no SQL, no terminal."""
