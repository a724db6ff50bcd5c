"""Small worlds of this project's own: a few tables each, tools over them, and a seeded way to begin.

Each is imported when it is first asked for (`registry.ENVIRONMENTS`): most commands play in none.
"""

WORLDS = {
    name: f"{__name__}.{name}:{name.capitalize()}"
    for name in ("helpdesk", "shop", "travel", "bank", "calendar", "clinic", "home", "music", "rental")
}
"""Name -> `module:Class`, in the order in which they are listed."""
