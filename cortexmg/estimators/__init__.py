"""How derivatives of statistics by parameters are found: differences, forward and reverse mode."""

from cortexmg.estimators.differences import Differences as Differences
from cortexmg.estimators.estimator import Estimate as Estimate, Estimator as Estimator
from cortexmg.estimators.forward import Forward as Forward
from cortexmg.estimators.reverse import Reverse as Reverse
