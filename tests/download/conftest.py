"""Real servers for the tests of this room."""

from snapshot.servers import client_programs, databases, programs_directory, shop, small

__all__ = ["client_programs", "databases", "programs_directory", "shop", "small"]
