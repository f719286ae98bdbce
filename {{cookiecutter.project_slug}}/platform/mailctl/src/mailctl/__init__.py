"""Operations CLI of this mail server."""

__version__ = "0.1.0"
