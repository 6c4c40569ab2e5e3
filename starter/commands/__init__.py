"""The commands of `relink`, a few to a file; `starter.cli` puts them together."""
