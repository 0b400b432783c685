"""The web pages: a server over the store's reads, and the pages in `static`."""
