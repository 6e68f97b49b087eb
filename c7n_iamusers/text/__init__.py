# SPDX-License-Identifier: Apache-2.0
"""Text that people write and read: rows with their lines, wording, moments."""
