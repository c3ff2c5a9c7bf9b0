"""Hypothesis as these tests need it: they run beside others on small machines, so the clock says nothing."""

from hypothesis import HealthCheck, settings

settings.register_profile("shared-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared-machine")
