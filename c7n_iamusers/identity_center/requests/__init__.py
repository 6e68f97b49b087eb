# SPDX-License-Identifier: Apache-2.0
"""What is asked for: intents of policies, people, and what they add up to."""
