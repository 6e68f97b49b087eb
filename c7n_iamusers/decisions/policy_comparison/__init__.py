# SPDX-License-Identifier: Apache-2.0
"""Whether one way in grants no more than another: policy evaluation over all requests at once."""
