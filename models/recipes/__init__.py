"""Recipes: one TOML file per model."""
