# SPDX-License-Identifier: Apache-2.0
"""Why a user is left alone, judged right before a change; shared by deletion and quarantine."""
