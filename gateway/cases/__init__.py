"""Published cases: parameters and rendering of input templates."""
