# SPDX-License-Identifier: Apache-2.0
"""Plans as data and what applies them: executor, journal, stores, retries, outcomes."""
