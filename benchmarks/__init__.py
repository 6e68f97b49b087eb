# SPDX-License-Identifier: Apache-2.0
"""Measures this package against stock Cloud Custodian on the local organization: ``python -m benchmarks``.

workload         the accounts that are measured, and the processes that serve them
contestants      the policies of both, where each puts its evidence, and a check that both gathered the same
suite            the runs, in order; run_policy: the program that runs and measures one policy
identity_center  deriving permission sets, a whole run, and a run that changes nothing
load             the commands over many accounts (--load)
report_page      the page of a report, and its filters in Chromium (--page)
results          the plan, the cost of runs and its extrapolation, the fewest calls that IAM permits, the goals
report           the results as tables, for docs/benchmarks.md and the terminal
"""
