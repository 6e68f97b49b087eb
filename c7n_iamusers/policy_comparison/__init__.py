# SPDX-License-Identifier: Apache-2.0
"""Whether one policy allows anything that another does not, over all requests at once. Pure."""
