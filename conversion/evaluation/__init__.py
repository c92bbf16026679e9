"""The rolling-origin backtest: measures, intervals, comparison, figures."""
