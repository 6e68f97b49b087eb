# SPDX-License-Identifier: Apache-2.0
"""Measures this package against stock Cloud Custodian on the local organization: ``python -m benchmarks``.

workload         the accounts that are measured, and the process that serves them
contestants      the policies of both, where each puts its evidence, and proof that both gathered the same
measured         the program that runs one policy, measured; measure: runs it and adds the calls that were seen
identity_center  deriving permission sets, and a run that changes nothing
suite            what is run, in order
measurement      what a run cost, and what a larger account would cost; results: what came out, the floor, the goals
tables, report   the figures as tables, docs/benchmarks.md and the terminal
"""
