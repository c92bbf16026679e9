"""The lead list: order, reasons, files, drift."""
