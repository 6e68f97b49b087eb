# SPDX-License-Identifier: Apache-2.0
"""IAM roles for running the policies, with exact permissions, and the SCP that keeps new long-term credentials away."""
