"""hw3lib: image sentiment classification as a reproducible, bilingual homework report."""

__version__ = "0.1.0"


class UserError(Exception):
    """Something the user can mend: one line that says what, where and how.

    The command line prints the message alone and exits with status 2.
    """
