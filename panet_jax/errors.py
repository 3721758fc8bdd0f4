"""The one exception for what a user can put right."""


class InputError(ValueError):
    """A user's mistake, told in one sentence: what was wanted, what came, what to type.

    The program prints it without a traceback and exits with 2.
    """
