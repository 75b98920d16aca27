"""Exceptions of commonmode; every one says what is wrong and what to do about it.

``CommonmodeError``
    ``ConfigurationError``   a study, a card or an option is wrong
    ``DataError``            market data missing, corrupt or of the wrong shape
        ``PanelError``       an error panel that cannot be read or used
            ``ShortPanelError``  too little history for what is asked
    ``ModelError``           a model broke its own contract
    ``UnitError``            coin and USD were mixed
"""

from __future__ import annotations

__all__ = [
    "CommonmodeError",
    "ConfigurationError",
    "DataError",
    "ModelError",
    "PanelError",
    "ShortPanelError",
    "UnitError",
]


class CommonmodeError(Exception):
    """Base of all errors that commonmode raises on purpose.

    Parameters
    ----------
    message : str
        What is wrong, naming the offending thing.
    remedy : str, optional
        What the reader can do about it.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  remedy: {self.remedy}" if self.remedy else self.message


class ConfigurationError(CommonmodeError):
    """A study file, a card or a command-line option is wrong."""


class DataError(CommonmodeError):
    """Market data is missing, corrupt or of the wrong shape."""


class PanelError(DataError):
    """An error panel cannot be read or cannot carry the statistic asked of it."""


class ShortPanelError(PanelError):
    """A panel, or a series of one, is too short for what is asked; nothing is wrong with it."""


class ModelError(CommonmodeError):
    """A model broke its own contract (shape, dtype, undeclared data)."""


class UnitError(CommonmodeError):
    """Coin and USD amounts were mixed, or a percentage was read as a decimal."""
