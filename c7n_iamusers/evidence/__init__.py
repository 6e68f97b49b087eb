# SPDX-License-Identifier: Apache-2.0
"""What is known of a user, and what follows from it: kind, findings, activity."""
