"""Everything between a bare machine and a running network: environment, private servers, processes, tests.

Nothing here imports more than the standard library, because it runs before anything else is installed.
"""
