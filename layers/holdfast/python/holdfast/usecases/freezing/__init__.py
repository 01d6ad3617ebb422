"""The frozen copy that an archive is taken of, so that production carries no lock and no load."""
