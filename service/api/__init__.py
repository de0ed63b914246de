"""HTTP: one module for each dialect, which holds its shapes, its routes and its error body."""
