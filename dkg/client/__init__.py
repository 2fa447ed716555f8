"""The thin shell with I/O: the store on disk, loading files, the command line."""
