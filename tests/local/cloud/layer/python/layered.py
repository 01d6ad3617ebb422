"""A module of the test layer."""

NAME = "layered"
