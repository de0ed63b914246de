"""The contract between training and service: what a bundle is, and how text becomes ids."""
