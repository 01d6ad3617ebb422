"""What use cases ask of the world: small protocols whose docstrings say what may be repeated and what is raised."""
