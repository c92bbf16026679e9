"""Reading an export, checking it and reporting every fault."""
