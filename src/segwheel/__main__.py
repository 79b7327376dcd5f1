"""`python -m segwheel` is `segwheel`."""

from segwheel.cli.app import main

main()
