# SPDX-License-Identifier: Apache-2.0
"""The whole job against the local organization, by the same commands that run it against a real one."""
