"""Why is an ordinal not there: pods, claims and events -> one root cause per ordinal.

Causes are of three weights. A terminal one cannot heal by waiting, a suspect one fails the run when it lasts, a
transient one is what every start looks like.
"""

from berth.core.diagnosis.logs import explained, telling
from berth.core.diagnosis.model import Cause, LogsOf, Scene, Weight
from berth.core.diagnosis.ordinals import diagnose

__all__ = ["Cause", "LogsOf", "Scene", "Weight", "diagnose", "explained", "telling"]
