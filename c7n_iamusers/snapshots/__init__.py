# SPDX-License-Identifier: Apache-2.0
"""The record of a user that exists before anything is changed."""
