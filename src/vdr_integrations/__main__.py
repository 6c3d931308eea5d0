"""``python -m vdr_integrations``: the ``vdr`` command."""

from vdr_integrations.cli.main import main

if __name__ == "__main__":
    main()
