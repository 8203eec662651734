"""Container images: how they are described, built, found and pulled."""
