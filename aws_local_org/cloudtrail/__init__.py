# SPDX-License-Identifier: Apache-2.0
"""CloudTrail's event history: the management events of each account's last 90 days, and LookupEvents over them.

events     what an event holds, and the history; calls: events of the calls that the organization served
lookup     LookupEvents, in moto's class
"""
