# SPDX-License-Identifier: Apache-2.0
"""Tries every fault and every actor at every call of every flow, and judges what became of the users by AWS alone.

alone        a process without threads and with a clock of its own; before the package is loaded
world        the local organization with alice, whom the flows are about, and others, whom they are not
flows        what is run: a table, a row a flow
wire         between botocore and the organization: counts the calls, and lets things happen at one of them
faults       what AWS and the network do wrong; runner: the machine; actors: other people; a row each
facts        what AWS has, read from the emulator; rights: what a user may do by that
judge        the invariants; center: those of Identity Center; journals: what a journal says, against the wire
mail         what people are told: messages in the queue and the records of them, against AWS and the outcomes
events       one flow with what happens in it, as text; traces: its run; processes: each in a process of its own
exploration  which traces there are, many of them at once, shrinking, and a trace as a test
mutants      seeded defects that it must find; gaps: what it finds and what stays so for now; page: docs/reliability.md

``facts``, ``rights``, ``judge``, ``center``, ``journals`` and ``mail`` import nothing of the package that is judged.
"""
