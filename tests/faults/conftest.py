"""Real servers for the tests of this room."""

from snapshot.servers import client_programs, databases, programs_directory, small

__all__ = ["client_programs", "databases", "programs_directory", "small"]
