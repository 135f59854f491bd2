"""What fit does with a panel: plan, start from the references, train, choose, calibrate, judge."""

from tsrnn.learning.learner import Learned, Learner

__all__ = ["Learned", "Learner"]
