# SPDX-License-Identifier: Apache-2.0
"""Tries every fault and every actor at every call of every flow, and judges what became of the users by AWS alone.

alone      a process without threads and with a clock of its own; before anything else is imported
world      the local organization with alice, whom the flows are about, and others, whom they are not
flows      what is run: a table, a row a flow
wire       between botocore and the organization: counts the calls, and lets things happen at one of them
faults     what AWS, the network and the runner do wrong; actors: what other people do meanwhile; a row each
facts      what AWS has, read from the emulator; rights: what a user may do by that; judge: the invariants
traces     one flow with what happens in it: run in a process of its own, shrunk, and printed as a test
page       docs/reliability.md and the list of known gaps

``facts``, ``rights`` and ``judge`` import nothing of the package that is judged.
"""
