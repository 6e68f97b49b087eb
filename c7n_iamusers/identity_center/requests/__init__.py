# SPDX-License-Identifier: Apache-2.0
"""The requests: intents of policies, people, and the desired access that they add up to."""
