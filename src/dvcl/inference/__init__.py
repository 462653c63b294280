"""From images to label maps on the images' own grids."""
