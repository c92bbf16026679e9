"""What goes out each week: the call list, the ledger, the gate, and files for reps and CRMs."""
