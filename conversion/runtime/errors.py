"""Mistakes that the user can fix: reported as one message, never as a traceback."""


class UserError(Exception):
    """A mistake in the user's input; the message says what is wrong and what to do."""

    exit_code = 1


class ParamsError(UserError):
    """A mistake in params.yaml."""

    exit_code = 2


class LogFormatError(UserError):
    """An unknown format of logs."""


class UsageError(UserError):
    """A mistake in a command's arguments."""

    exit_code = 2


class InputError(UserError):
    """A file between two stages that is missing, or not what the earlier stage writes."""


class OutputError(UserError):
    """A file that cannot be written."""


class ExportError(UserError):
    """A fault in the export's tables."""


class ArtifactError(UserError):
    """A model file that is missing or does not match its description."""


class TrackingError(UserError):
    """A tracking store that does not answer or refuses a run."""


class ServiceError(UserError):
    """A setting with which the service cannot run."""


class ComparisonError(UserError):
    """Two backtests that are missing or cannot be compared."""


class PromotionError(UserError):
    """A model that must not be promoted."""


class DeliveryError(UserError):
    """A list that must not be delivered, or cannot be."""


class ForgetError(UserError):
    """A company that is still somewhere after it was removed."""


class EngineError(UserError):
    """An engine that cannot be started, or that lost what works for it."""
