# SPDX-License-Identifier: Apache-2.0
"""Readers of AWS and the one executor that changes it. Clients, clocks and sleeps are passed in."""
