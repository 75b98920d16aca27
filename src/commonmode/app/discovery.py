"""Which models there are: the built-in ones, and those that other packages register.

A package registers a model by an entry point of the group ``commonmode.models`` whose name is the
type used in a study file and whose object is a constructor (a class or function that takes the
study's settings as keyword arguments and returns a model).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from commonmode.core.errors import ConfigurationError
from commonmode.core.result import Failure, FailureReason
from commonmode.forecast.builtin import RISK_MODELS
from commonmode.forecast.strategies.builtin import SIGNAL_MODELS
from commonmode.market.columns import nearest
from commonmode.pricing.builtin import SURFACE_MODELS
from commonmode.register.model import Model

__all__ = ["GROUP", "Constructor", "Discovery", "discover_models"]

#: Entry-point group of models.
GROUP = "commonmode.models"

Constructor = Callable[..., Model]


@dataclass(frozen=True, slots=True)
class Discovery:
    """Models by the name of their type, and the plug-ins that could not be loaded.

    Attributes
    ----------
    constructors : mapping of type name to constructor
    sources : mapping of type name to str
        "built in", or the package that registered it.
    failures : mapping of type name to Failure
        Why a registered model is not among the constructors.
    """

    constructors: Mapping[str, Constructor]
    sources: Mapping[str, str]
    failures: Mapping[str, Failure]

    def constructor(self, name: str) -> Constructor:
        """The constructor of type ``name``.

        Raises
        ------
        ConfigurationError
            If there is none, or its plug-in is broken.
        """
        if name in self.constructors:
            return self.constructors[name]
        if name in self.failures:
            broken = self.failures[name]
            raise ConfigurationError(
                f"model type {name!r} cannot be used: {broken.message}", remedy=broken.remedy
            )
        guess = nearest(name, self.constructors)
        hint = f"did you mean {guess!r}? " if guess else ""
        raise ConfigurationError(
            f"there is no model type {name!r}",
            remedy=f"{hint}known types: {', '.join(sorted(self.constructors))}",
        )


def discover_models() -> Discovery:
    """The built-in models and those of installed packages; a broken plug-in is a ``Failure``."""
    constructors: dict[str, Constructor] = {**SURFACE_MODELS, **RISK_MODELS, **SIGNAL_MODELS}
    sources = dict.fromkeys(constructors, "built in")
    failures: dict[str, Failure] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda e: (e.name, e.value)):
        origin = entry.dist.name if entry.dist is not None else entry.value
        if entry.name in constructors:
            failures[entry.name] = Failure(
                FailureReason.INVALID_INPUT,
                f"{origin} registers model type {entry.name!r}, which {sources[entry.name]} "
                "already provides (that one is used)",
                "rename the entry point",
            )
            continue
        loaded = _load(entry, origin)
        if isinstance(loaded, Failure):
            failures[entry.name] = loaded
        else:
            constructors[entry.name] = loaded
            sources[entry.name] = origin
    return Discovery(constructors, sources, failures)


def _load(entry: EntryPoint, origin: str) -> Constructor | Failure:
    try:
        loaded = entry.load()
    except Exception as error:  # whatever a foreign package raises while it is imported
        return Failure(
            FailureReason.UNSUPPORTED,
            f"{origin}: entry point {entry.name} = {entry.value} does not load: "
            f"{type(error).__name__}: {error}",
            f"repair or uninstall {origin}",
        )
    if not callable(loaded):
        return Failure(
            FailureReason.UNSUPPORTED,
            f"{origin}: entry point {entry.name} = {entry.value} is a {type(loaded).__name__}, "
            "not a constructor",
            "point it at a class or a function that returns a model",
        )
    constructor: Constructor = loaded
    return constructor
