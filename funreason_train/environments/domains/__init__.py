"""Small worlds of this project's own: a few tables each, tools over them, and a seeded way to begin."""
