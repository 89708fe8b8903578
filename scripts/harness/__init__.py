# SPDX-License-Identifier: GPL-2.0-only
"""What the developer's scripts and the tests share: the cache, Debian packages, kernels, hosts."""
