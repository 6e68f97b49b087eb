# SPDX-License-Identifier: Apache-2.0
"""A report over a fleet: what runs of policies have left in output directories, as a page, JSON or CSV."""
