"""How fast it is, always as a ratio to a limit measured in the same run: `python3 manage.py bench`."""
