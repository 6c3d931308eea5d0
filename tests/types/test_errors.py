import pickle

from vdr_integrations.errors import MissingExtraError


def test_a_missing_extra_is_told_by_another_process_as_by_this_one() -> None:
    error = MissingExtraError(package="pymupdf", extra="pdf", purpose="reading PDFs")
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.name, copy.extra) == (str(error), "pymupdf", "pdf")
