# SPDX-License-Identifier: Apache-2.0
"""Text and data formats: rows of lists with their lines, checks of shapes, wording, times."""
