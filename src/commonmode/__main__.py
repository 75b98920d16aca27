"""``python -m commonmode``."""

from commonmode.app.cli.main import main

if __name__ == "__main__":
    main()
