"""Small worlds of this project's own: a few tables each, tools over them, and a seeded way to begin."""

from ..tables import TableWorld
from .bank import Bank
from .calendar import Calendar
from .clinic import Clinic
from .helpdesk import Helpdesk
from .home import Home
from .music import Music
from .rental import Rental
from .shop import Shop
from .travel import Travel

WORLDS: tuple[type[TableWorld], ...] = (
    *(Helpdesk, Shop, Travel),
    *(Bank, Calendar, Clinic, Home, Music, Rental),
)
"""In the order in which they are listed."""
