# SPDX-License-Identifier: Apache-2.0
"""Measures this package against stock Cloud Custodian on the local organization: ``python -m benchmarks``.

workload      the accounts that are measured; organization: the process that serves them
stock, ours   the policies, and where each puts its evidence
evidence      proof that both gathered the same
measured      the program that runs one policy, measured; measure: runs it and adds the calls that were seen
suite         what is run, in order; results: what came out
extrapolation, floor, goals    arithmetic on it
*_tables, table, cells          the figures as tables
report        docs/benchmarks.md and the terminal
"""
