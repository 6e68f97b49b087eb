# SPDX-License-Identifier: Apache-2.0
"""Text and data formats: rows of lists with their lines, wording, times, JSON."""
