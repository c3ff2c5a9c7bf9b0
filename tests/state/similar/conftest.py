from hypothesis import settings

# a busy machine is no reason to fail
settings.register_profile("similar", deadline=None)
settings.load_profile("similar")
