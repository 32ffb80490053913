"""Not a package but the source folder: what is installed is `zonerss`, below."""

raise ImportError("collector is the source folder; the package is zonerss: import zonerss")
