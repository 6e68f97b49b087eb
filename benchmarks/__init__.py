# SPDX-License-Identifier: Apache-2.0
"""Measures this package against stock Cloud Custodian on the local organization: ``python -m benchmarks``.

workload         the accounts that are measured, and the process that serves them
contestants      the policies of both, where each puts its evidence, and a check that both gathered the same
suite            the runs, in order; measured: the program that runs and measures one policy
identity_center  deriving permission sets, a whole run, and a run that changes nothing
load             the commands over many accounts (--load)
measurement      the cost of a run, and its extrapolation; floor: the fewest calls that IAM permits
results          the plan, the results and the goals
tables, report   the results as tables, for docs/benchmarks.md and the terminal
"""
