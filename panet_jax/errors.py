"""The one exception for what a user can put right."""


class InputError(ValueError):
    """A user's mistake, told in one sentence: what was wanted, what came, what to type.

    The program prints it without a traceback and exits with 2.

    Attributes:
        everywhere: whether all processes of a job raise it, so that none has to be told.
    """

    everywhere = False

    @classmethod
    def on_all(cls, sentence):
        """A mistake that all processes of a job meet at the same place."""
        error = cls(sentence)
        error.everywhere = True
        return error
