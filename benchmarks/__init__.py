# SPDX-License-Identifier: Apache-2.0
"""Measures this package against stock Cloud Custodian on the local organization: ``python -m benchmarks``.

workload         the accounts that are measured, and the process that serves them
contestants      the policies of both, where each puts its evidence, and proof that both gathered the same
suite            what is run, in order; measured: the program that runs one policy, measured
identity_center  deriving permission sets, and a run that changes nothing
measurement      what a run cost, and what a larger account would cost; floor: the fewest calls that IAM permits
results          what is measured, what came out, and the goals
tables, report   the figures as tables, docs/benchmarks.md and the terminal
"""
