# SPDX-License-Identifier: Apache-2.0
"""The whole job on the local organization, with the same commands as on a real one: the demo, and rehearsals."""

from __future__ import annotations
