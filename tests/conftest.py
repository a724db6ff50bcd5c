"""What every test shares: property tests have no deadline, since machines differ and can be busy."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
