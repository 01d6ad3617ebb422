"""What Holdfast does: each use case is a function over ports, called by one handler."""
