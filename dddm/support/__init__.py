"""What the core and plugins share: noise by index, images as numbers, files that are whole."""
