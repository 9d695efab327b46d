"""`python -m cortexmg`: the command line."""

from cortexmg.cli import main

if __name__ == "__main__":
    main()
