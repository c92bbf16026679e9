"""What people look at: charts, sentences on them, the pages and the report."""
