"""How derivatives of statistics by parameters are found: differences, forward and reverse mode."""

from cortexmg.estimators.default import (
    careful_estimator as careful_estimator,
    default_estimator as default_estimator,
    unbiased_estimator as unbiased_estimator,
)
from cortexmg.estimators.differences import Differences as Differences
from cortexmg.estimators.estimator import (
    Diverged as Diverged,
    Estimate as Estimate,
    Estimator as Estimator,
)
from cortexmg.estimators.forward import Forward as Forward
from cortexmg.estimators.reverse import Reverse as Reverse
