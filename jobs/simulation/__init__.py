"""A simulated shop: event logs of any size with a known truth, to try, test and measure with."""

from jobs.simulation.log import Simulation, simulate, write_log
from jobs.simulation.settings import SimulationError, SimulationSettings
from jobs.simulation.truth import Truth

__all__ = ["Simulation", "SimulationError", "SimulationSettings", "Truth", "simulate", "write_log"]
