# SPDX-License-Identifier: Apache-2.0
"""Deleting a user with everything attached: the plan, its review, and what applies it."""
