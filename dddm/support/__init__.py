"""What the core and plugins share: random numbers, images, and files written atomically."""
