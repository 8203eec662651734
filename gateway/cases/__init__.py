"""Published cases: typed parameters, input files, image, command and outputs, in versioned folders."""
