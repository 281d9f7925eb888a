"""From trained weights to images: what to sample, the generator, stored samples, export."""
