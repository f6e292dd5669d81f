"""`python -m zslcache`."""

from zslcache.cli.main import main

main()
