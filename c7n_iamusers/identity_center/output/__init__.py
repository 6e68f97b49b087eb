# SPDX-License-Identifier: Apache-2.0
"""Files for people and programs: plans, reports, Terraform, AWS CLI profiles."""
