# SPDX-License-Identifier: Apache-2.0
"""Text and data formats: JSON, YAML and CSV within bounds, with their lines, checks of shapes, wording, times."""
