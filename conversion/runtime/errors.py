"""Mistakes that the user can mend: reported as one message, never as a traceback."""


class UserError(Exception):
    """A mistake in what the user gave; its text says what is wrong and what to do."""

    exit_code = 1


class ParamsError(UserError):
    """A mistake in params.yaml."""

    exit_code = 2


class LogFormatError(UserError):
    """A format of logs that there is none of."""


class UsageError(UserError):
    """A mistake in a command's arguments."""

    exit_code = 2


class InputError(UserError):
    """A file between two stages that is missing, or is not what the stage before writes."""


class OutputError(UserError):
    """A file that cannot be written."""


class ExportError(UserError):
    """A fault in the export's tables."""


class ArtifactError(UserError):
    """A model file that is missing, or is not what its description says."""


class TrackingError(UserError):
    """A tracking store that does not answer, or does not take what it was given."""


class ServiceError(UserError):
    """A setting with which the service cannot run."""


class ComparisonError(UserError):
    """Two backtests that cannot be compared, or are not there to be."""


class PromotionError(UserError):
    """A model that may not be promoted."""
