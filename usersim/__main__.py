"""`python -m usersim`: the command, for where its script is not on the path."""

from usersim.cli import main

if __name__ == "__main__":
    main()
