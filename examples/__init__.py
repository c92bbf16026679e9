"""A client of the service, and exports of two other products to try the pipeline on."""
