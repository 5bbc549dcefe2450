"""Run the command line as ``python -m desk``; background roles are started this way."""

from desk.cli import main

if __name__ == "__main__":
    main()
