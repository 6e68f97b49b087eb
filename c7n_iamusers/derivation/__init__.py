# SPDX-License-Identifier: Apache-2.0
"""From what users can do to permission sets, with the proof that these allow no more. Pure."""
