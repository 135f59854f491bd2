"""The contract of a forecaster as a suite that anyone can run on one of their own.

suite         check_forecaster: every rule, and the broken ones in words
rules         what a rule is
case          the forecaster under check, fitted once, and frames for it
estimating    what scikit-learn asks of an estimator, for frames
forecasting   what a forecast is: rows, stamps, intervals, kinds of frame
invariance    what may not move a forecast
refusing      errors before any training
outside       what a forecaster leaves as it found it
"""

from tsrnn.contract.rules import Rule
from tsrnn.contract.suite import ContractError, check_forecaster, contract_rules

__all__ = ["ContractError", "Rule", "check_forecaster", "contract_rules"]
