"""The provider catalogue as data: one YAML file a provider or protocol, and in `common/` the words for all."""

from activities.playbooks.loader import CatalogueError, load_catalogue

__all__ = ["CatalogueError", "load_catalogue"]
