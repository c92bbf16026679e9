"""Work on the parts of tables: one after the other here, or distributed."""
