from tests.cli.conftest import vdr

__all__ = ["vdr"]
