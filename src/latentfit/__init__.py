"""latentfit finds the latent size that fits.

Importing this is light: a name below loads its module, and PyTorch with it, when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import evaluate, figures, latent, report, train
    from .data import load as load_data
    from .data.images import ImageSet
    from .estimator import Autoencoder
    from .model import Network
    from .recipe import Recipe
    from .sweep.choosing import choose_size
    from .sweep.run import study
    from .sweep.store import load

__all__ = [
    "Autoencoder",
    "ImageSet",
    "Network",
    "Recipe",
    "choose_size",
    "evaluate",
    "figures",
    "latent",
    "load",
    "load_data",
    "report",
    "study",
    "train",
]

_HOMES = {
    "Autoencoder": ("estimator", "Autoencoder"),
    "ImageSet": ("data.images", "ImageSet"),
    "Network": ("model", "Network"),
    "Recipe": ("recipe", "Recipe"),
    "choose_size": ("sweep.choosing", "choose_size"),
    "load": ("sweep.store", "load"),
    "load_data": ("data", "load"),
    "study": ("sweep.run", "study"),
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("latentfit")
    if name not in __all__:
        raise AttributeError(f"module 'latentfit' has no attribute {name!r}")
    module, inner = _HOMES.get(name, (name, None))
    found = import_module(f".{module}", __name__)
    return found if inner is None else getattr(found, inner)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
