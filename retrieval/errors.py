"""The root of the error tree, and what can go wrong while finding and answering."""


class ShifuError(Exception):
    """Something a person can be told about: its text names what is wrong and how to mend it."""


class StoreError(ShifuError):
    """The chunk store cannot do what was asked."""


class StoreUnavailable(StoreError):
    """The store does not answer now; the same request may succeed later."""


class StoreDamaged(StoreError):
    """What lies on disk cannot be used; the text says how to rebuild it."""


class ModelError(ShifuError):
    """A language or embedding model did not deliver."""


class ModelUnavailable(ModelError):
    """The model's server cannot be reached, is too slow, or is overloaded."""


class ModelMisconfigured(ModelError):
    """The model's server refuses us: wrong key, unknown model, wrong address."""


class IngestError(ShifuError):
    """One document could not be read; the others go on."""


class HoldsNoText(IngestError):
    """There is nothing to read in it, such as in a scan."""


class IsLocked(IngestError):
    """It is protected with a password."""


class TooMuch(IngestError):
    """It is whole, but larger inside than what is read of one file."""
